package import Routing

/// `publish:` of an HTTP route: who may send events into which groups from outside, and what else it may be asked for.
package struct PublishConfiguration: Sendable {
  /// What a route can be asked for, by `allow:`.
  package enum Operation: String, Sendable, Hashable, CaseIterable {
    /// `POST PATH`
    case publish
    /// `POST PATH` with an `event`, for users of `auth`. Without it these may send `message`, `text` and `bytes` only: a whole event
    /// can close a room, or pass for another user's. Tokens and anonymous routes need no such right.
    case events
    /// `POST PATH/disconnect`
    case disconnect
    /// `GET PATH/groups`
    case groups
    /// `GET PATH/presence`
    case presence
    /// `GET PATH/history`
    case history

    /// What stands behind the path of the route; nil for what has no path of its own.
    package var pathBelow: String? {
      switch self {
      case .publish: ""
      case .events: nil
      case .disconnect, .groups, .presence, .history: rawValue
      }
    }
  }

  /// The groups that may be named. Never empty.
  package var groups: [GroupPattern]
  /// `channel_layer:`, the alias of the layer that the groups are in.
  package var layer = "default"
  /// `token:`, each of which opens the route; never to be printed. Empty where only `auth` does, or anybody may.
  package var tokens: [String] = []
  /// `anonymous: true`: anybody who reaches the route may use it.
  package var isAnonymous = false
  package var operations: Set<Operation> = [.publish]
  /// `allowed_hosts:`, the pages whose browsers may use the route.
  package var origins = OriginPolicy.sameHost
  /// Largest body of a request; larger is refused with 413.
  package var body = ByteCount.mebibytes(1)

  package init(groups: [GroupPattern]) {
    self.groups = groups
  }

  /// What a token has at least, so that it cannot be guessed. Bytes.
  package static let shortestToken = 16

  /// RFC 6750 section 2.1: whether it can stand in an `Authorization` field.
  package static func isToken(_ text: String) -> Bool {
    let body = text.reversed().drop { $0 == "=" }
    return !body.isEmpty
      && body.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-._~+/".contains($0)) }
  }
}
