import Glibc

/// A folder for the sockets that commands go through.
package struct RunDirectory: Sendable, Hashable {
  package enum Kind: Sendable, Hashable {
    /// `$RUNTIME_DIRECTORY`: whoever started the gateway has made it.
    case given
    /// Of the whole machine.
    case system
    /// Below a folder that only its user may write to.
    case user
    /// Below a folder that everybody may write to, so its owner and its mode are checked.
    case temporary
  }

  package var path: String
  package var kind: Kind
  /// Whose it is, where that is checked.
  package var owner: UInt32

  /// Where a gateway of a user puts its socket: the first of them that it can use.
  ///
  /// - Parameter environment: relative paths in it count for nothing.
  package static func all(environment: [String: String], user: UInt32) -> [RunDirectory] {
    func folder(_ variable: String) -> String? {
      // systemd names several with a colon between them.
      let first = environment[variable]?.split(separator: ":").first.map(String.init)
      return first.flatMap { $0.hasPrefix("/") ? $0 : nil }
    }
    var found: [RunDirectory] = []
    func add(_ path: String, _ kind: Kind) {
      if !found.contains(where: { $0.path == path }) {
        found.append(RunDirectory(path: path, kind: kind, owner: user))
      }
    }
    if let given = folder("RUNTIME_DIRECTORY") { add(given, .given) }
    add("/run/sluice", .system)
    if let own = folder("XDG_RUNTIME_DIR") { add(own + "/sluice", .user) }
    add("/run/user/\(user)/sluice", .user)
    if let temporary = folder("TMPDIR") { add(temporary + "/sluice-\(user)", .temporary) }
    add("/tmp/sluice-\(user)", .temporary)
    return found
  }

  /// Where a command of a user looks for gateways: the same, and for root the places of whoever has called `sudo`, and of the owner of the
  /// file.
  package static func searched(
    environment: [String: String], user: UInt32, owner: UInt32? = nil
  ) -> [RunDirectory] {
    var found = all(environment: environment, user: user)
    guard user == 0 else { return found }
    for other in [environment["SUDO_UID"].flatMap({ UInt32($0) }), owner] {
      guard let other, other != 0 else { continue }
      for folder in all(environment: [:], user: other)
      where folder.kind != .system && !found.contains(folder) { found.append(folder) }
    }
    return found
  }

  /// Why a folder is not used, in words that follow its path.
  package struct Unusable: Error, Hashable, CustomStringConvertible {
    package var description: String
  }

  /// Makes the folder where it is missing, and makes sure that nobody else decides what is in it.
  func prepare() throws(Unusable) {
    if kind != .given { _ = unsafe mkdir(path, kind == .system ? 0o755 : 0o700) }
    try check()
    guard isWritable else { throw Unusable(description: words(for: errno)) }
  }

  var isWritable: Bool { unsafe access(path, W_OK | X_OK) == 0 }

  /// - Throws: where it is missing, or others decide what is in it.
  package func check() throws(Unusable) {
    var status = stat()
    // A link would lead to where somebody else wants it.
    let isTold = kind == .given || kind == .system
    let found = unsafe isTold ? stat(path, &status) : lstat(path, &status)
    guard found == 0 else { throw Unusable(description: words(for: errno)) }
    guard status.st_mode & S_IFMT == S_IFDIR else { throw Unusable(description: "is no folder") }
    guard !isTold else { return }
    guard status.st_uid == owner else {
      throw Unusable(description: "belongs to the user \(status.st_uid), and not to \(owner)")
    }
    guard status.st_mode & 0o022 == 0 else { throw Unusable(description: "may be written to by other users") }
  }

  private func words(for code: Int32) -> String {
    switch code {
    case ENOENT: "is not there"
    case EACCES, EPERM: "may not be written to by this user"
    case EROFS: "is on a file system that is read-only"
    default: unsafe strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)"
    }
  }
}
