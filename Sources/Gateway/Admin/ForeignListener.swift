import Glibc
package import Transport

/// Why a command asks nothing of whoever listens at a path: anybody may have made that socket, and would be told what is to be done, and
/// believed.
package struct ForeignListener: Error, Hashable, CustomStringConvertible {
  private var path: String
  /// Nil where the system does not say who listens.
  private var listener: PeerCredentials?
  private var user: UInt32

  /// Nil for a gateway that the command may be meant for: one of root, or of the user of the command. Root commands those of other users,
  /// too, where the file of the socket is theirs.
  ///
  /// - Parameter listener: as the system vouches for it on the connection.
  package init?(at path: String, _ listener: PeerCredentials?) {
    self.init(at: path, listener, of: SocketFile.owner(of: path), for: geteuid())
  }

  /// - Parameters:
  ///   - owner: of the file; nil where there is none.
  ///   - user: of the command.
  init?(at path: String, _ listener: PeerCredentials?, of owner: UInt32?, for user: UInt32) {
    if let listener {
      let isMeant = [0, user].contains(listener.user) || user == 0 && listener.user == owner
      guard !isMeant else { return nil }
    }
    (self.path, self.listener, self.user) = (path, listener, user)
  }

  package var description: String {
    guard let listener else {
      return "the system does not say who listens on \(path), so nothing was asked there"
    }
    let whose =
      user == 0
      ? "whose file that user does not own" : "which is neither root nor the user \(user) of this command"
    return
      "on \(path) the process \(listener.process) of the user \(listener.user) listens, \(whose): nothing was asked of it"
  }
}
