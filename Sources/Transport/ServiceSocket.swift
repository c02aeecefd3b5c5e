import CLinux
import Glibc

/// The socket on which a service manager hears how its service is doing (`sd_notify(3)`).
///
/// What is told is lost where nobody reads: a service does not wait for its manager.
public struct ServiceSocket: Sendable {
  private let address: SocketAddress

  /// - Parameter name: `NOTIFY_SOCKET`: a path, or `@` and a name without a file.
  /// - Returns: nil where it is neither.
  public init?(named name: String) {
    let isAbstract = name.hasPrefix("@")
    guard isAbstract || name.hasPrefix("/"), SocketAddress.unixPathLengths.contains(name.utf8.count),
      !name.utf8.contains(0)
    else { return nil }
    address = isAbstract ? SocketAddress(abstract: String(name.dropFirst())) : SocketAddress(unixPath: name)
  }

  /// Tells assignments like `READY=1`, all of them in one datagram. Can be called from any thread.
  public func tell(_ assignments: [String]) {
    let raw = socket(
      AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
    guard raw >= 0 else { return }
    let descriptor = Descriptor(adopting: raw)
    let text = assignments.joined(separator: "\n")
    _ = unsafe address.pass { pointer, length in
      unsafe sendto(descriptor.rawValue, text, text.utf8.count, Int32(MSG_NOSIGNAL), pointer, length)
    }
  }
}
