import CLinux
import Glibc

/// Finds out whether a listener could be opened. Nobody can connect meanwhile, and nothing is left of it.
public enum ListenerTrial {
  /// - Parameter reusePort: as for `Listener.tcp`; without it a socket of this process is in the way, too.
  public static func tcp(host: String, port: Int, reusePort: Bool, onlyV6: Bool) throws(TransportFailure) {
    // A socket that is bound and does not listen: a connection is for the others that listen there.
    _ = try Listener.bound(host: host, port: port, reusePort: reusePort, onlyV6: onlyV6)
  }

  public static func unix(path: String, group: String?) throws(TransportFailure) {
    guard SocketAddress.unixPathLengths.contains(path.utf8.count), !path.utf8.contains(0) else {
      throw .unusablePath
    }
    _ = try Listener.isStale(path)
    try folder(of: path)
    try give(to: group, path)
  }

  /// Whether a socket file could be made at a path.
  public static func folder(of path: String) throws(TransportFailure) {
    let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
    guard unsafe access(folder, W_OK | X_OK) == 0 else {
      throw [EACCES, EPERM].contains(errno) ? .closedFolder : TransportFailure("bind", errno)
    }
  }

  /// Whether a socket file could be given to a group. Another file in its folder is given to it, for a moment: what is in the way may also be
  /// a filter of system calls.
  public static func give(to group: String?, _ path: String) throws(TransportFailure) {
    guard let group else { return }
    let number = try Listener.number(of: group)
    do throws(TransportFailure) {
      let file = try FreshFile(beside: path)
      let code = file.give(to: number)
      guard code == 0 else { throw .cannotGiveSocket(group: group, code) }
    } catch .cannotGiveSocket(let group, let code) {
      throw .cannotGiveSocket(group: group, code)
    } catch {
      // No file can be made there. One that is there already may be given away all the same.
      guard mayGive(to: number) else { throw .cannotGiveSocket(group: group, EPERM) }
    }
  }

  /// As far as the groups of the process say it.
  private static func mayGive(to group: gid_t) -> Bool {
    guard geteuid() != 0, getegid() != group else { return true }
    var groups = [gid_t](repeating: 0, count: max(0, Int(getgroups(0, nil))))
    let count = unsafe getgroups(Int32(groups.count), &groups)
    return groups.prefix(max(0, Int(count))).contains(group)
  }
}
