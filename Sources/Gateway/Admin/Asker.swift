package import JSON
package import Transport

/// Who has asked for something: of the log, and of the answers.
package enum Asker: Sendable, Hashable {
  /// A process of this machine, as the system vouches for it.
  case process(PeerCredentials)
  /// Somebody with the token, from a process of this machine.
  case token
  /// The name of a signal.
  case signal(String)
}

extension Asker: CustomStringConvertible {
  /// `uid 1000, pid 4242`
  package var description: String {
    switch self {
    case .process(let peer): "uid \(peer.user), pid \(peer.process)"
    case .token: "token"
    case .signal(let name): "signal \(name)"
    }
  }

  package var json: JSON {
    switch self {
    case .process(let peer): ["uid": .number(peer.user), "pid": .number(peer.process)]
    case .token: ["token": true]
    case .signal(let name): ["signal": .string(name)]
    }
  }
}
