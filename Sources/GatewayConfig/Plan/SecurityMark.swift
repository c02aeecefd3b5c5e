/// A change after which somebody may do what was refused before.
package struct SecurityMark: Sendable, Hashable {
  /// What has been loosened. The raw values are a part of the output for programs.
  package enum Kind: String, Sendable, Hashable, CaseIterable {
    /// `allowed_hosts` lets in more clients.
    case originWidened = "origin-widened"
    /// Clients need no credentials any more.
    case authRemoved = "auth-removed"
    /// Clients without credentials are let in as well.
    case authOptional = "auth-optional"
    /// Another entry of `auth`, or another server, says who clients are.
    case authOther = "auth-other"
    /// An entry of `auth` accepts tokens that it refused.
    case tokensWidened = "tokens-widened"
    /// `require` lets in more clients.
    case requireWeaker = "require-weaker"
    /// No view is asked whether a client may, or another one.
    case permissionDropped = "permission-dropped"
    /// A limit is gone.
    case limitRemoved = "limit-removed"
    /// Clients of routes with different rights share a group that they did not share.
    case groupShared = "group-shared"
    /// Clients of a route reach groups that they did not reach.
    case groupsWidened = "groups-widened"
    /// More clients of a route may send to its group.
    case writersWidened = "writers-widened"
    /// More clients, or more operations, are admitted by a `publish` route.
    case publishOpened = "publish-opened"
    /// More machines are believed about where clients are.
    case proxiesWidened = "proxies-widened"
    /// Sluice can be reached from other machines, or by other users of this one, or takes their orders.
    case addressWidened = "address-widened"
    /// Connections that were encrypted are not any more.
    case encryptionOff = "encryption-off"
    /// An encryption is weaker, or the other side is not checked.
    case encryptionWeaker = "encryption-weaker"
    /// Questions to a view have no signature.
    case viewUnsigned = "view-unsigned"
  }

  package var kind: Kind
  /// The route as it is now; nil for a setting outside of the routes.
  package var route: NamedRoute?
  package var protocolName: String?
  /// The key that says it.
  package var key: String
  /// A path at which it is so, without the slash at its beginning.
  package var example: String?
  /// One sentence without a full stop.
  package var text: String
}

/// What `limits`, `auth` and the like of one pair of routes say, for marks.
struct MarkPlace {
  var route: NamedRoute?
  var kind: RouteKind?
  var example: String?

  func mark(_ kind: SecurityMark.Kind, _ key: String, _ text: String) -> SecurityMark {
    SecurityMark(
      kind: kind, route: route, protocolName: self.kind?.key, key: key, example: example, text: text)
  }
}

/// Collects marks, each once.
struct MarkList {
  private(set) var all: [SecurityMark] = []
  private var known: Set<SecurityMark> = []

  mutating func add(_ marks: [SecurityMark]) {
    for mark in marks {
      var key = mark
      key.example = nil
      if known.insert(key).inserted { all.append(mark) }
    }
  }
}
