package import Routing

/// `publish:` of an HTTP route: who may publish to which groups over HTTP, and the other operations of the route.
package struct PublishConfiguration: Sendable {
  /// The operations of a route that `allow:` can name.
  package enum Operation: String, Sendable, Hashable, CaseIterable {
    /// `POST PATH`
    case publish
    /// `POST PATH` with an `event`, for users of `auth`. Without this right users may send only `message`, `text` and `bytes`,
    /// because a whole event can close a room, or pass for another user's. Tokens and anonymous routes need no such right.
    case events
    /// `POST PATH/disconnect` ends sessions, and keeps their users out for a time; `GET` lists who is kept out, and `DELETE` lets them in.
    case disconnect
    /// `POST PATH/mute` lets users hear and not send for a time; `GET` and `DELETE` as for `disconnect`.
    case mute
    /// `POST PATH/join`
    case join
    /// `POST PATH/leave`
    case leave
    /// `GET PATH/groups`
    case groups
    /// `GET PATH/presence`
    case presence
    /// `GET PATH/history`
    case history

    /// The path after the path of the route; nil for an operation without a path of its own.
    package var pathBelow: String? {
      switch self {
      case .publish: ""
      case .events: nil
      case .disconnect, .mute, .join, .leave, .groups, .presence, .history: rawValue
      }
    }
  }

  /// `protocol:`, how requests are written.
  package enum Wire: String, Sendable, Hashable, CaseIterable {
    /// Sluice's own.
    case json
    /// What gripcontrol and django-grip publish to pushpin and Fastly Fanout.
    case grip
  }

  /// The groups that requests may name. Never empty.
  package var groups: [GroupPattern]
  /// `channel_layer:`, the alias of the layer that the groups are in.
  package var layer = "default"
  /// `token:`, each of which gives access to the route; never printed. Empty if the route uses only `auth`, or is anonymous.
  package var tokens: [String] = []
  package var wire = Wire.json
  /// `secret:`, any of which may have signed the token of a request with `protocol: grip`; never printed. Empty if `token` is used, or the
  /// route is anonymous.
  package var secrets: [Secret] = []
  /// `anonymous: true`: every client that reaches the route may use it.
  package var isAnonymous = false
  package var operations: Set<Operation> = [.publish]
  /// `allowed_hosts:`, the origins whose pages may use the route.
  package var origins = OriginPolicy.sameHost
  /// Largest body of a request; larger is refused with 413.
  package var body = ByteCount.mebibytes(1)

  /// The operations with which a caller decides about other users' sessions.
  package static let ordersAboutUsers: Set<Operation> = [.disconnect, .mute, .join, .leave]

  /// The minimum length of a token, so that it cannot be guessed. Bytes.
  package static let shortestToken = 16

  /// RFC 6750 section 2.1: whether the text is valid in an `Authorization` field.
  package static func isToken(_ text: String) -> Bool {
    let body = text.reversed().drop { $0 == "=" }
    return !body.isEmpty
      && body.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-._~+/".contains($0)) }
  }
}
