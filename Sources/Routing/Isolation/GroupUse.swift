package import Bytes

/// One way in which clients reach groups: a template or a pattern of a route, and what clients can do with these groups.
///
/// A route has as many uses as it has templates and patterns.
package struct GroupUse: Sendable {
  package struct Access: Sendable, Hashable {
    package var reads: Bool
    package var writes: Bool

    package init(reads: Bool, writes: Bool) {
      self.reads = reads
      self.writes = writes
    }

    package static let read = Access(reads: true, writes: false)
    package static let write = Access(reads: false, writes: true)
    package static let readAndWrite = Access(reads: true, writes: true)
  }

  /// What the use has to do with the names of users under messages.
  package enum Signature: Sendable, Hashable {
    case none
    /// Sluice adds the user to each message that the clients send.
    case added
    /// Messages are shown to the clients with the user who has sent them. Sluice adds the user to those that they send themselves.
    case shown
    /// The same where the messages name a user, as they do if another use of these groups adds it.
    case shownIfAdded
    /// The clients send frames or events as they like, and these can name any user.
    case forgeable
  }

  /// Groups of different layers never meet.
  package var layer: String
  package var pattern: GroupPattern
  /// The table of the route, an identification of that table, and the route's index there.
  package var router: Router
  package var tableName: String
  package var route: Int
  package var access: Access
  package var audience: AdmittedClients
  /// What users can be called; nil for any text.
  package var userType: UserType?
  /// The captures that are an identity field of every client of the route too, and the field.
  package var ties: [String: String] = [:]
  /// Whether the operator allows other clients to share these groups (`shared: true`).
  package var isShared: Bool
  /// Whether clients publish over HTTP, and are not members of the group.
  package var isPublishing: Bool
  package var signature: Signature

  package init(
    layer: String, pattern: GroupPattern, router: Router, tableName: String = "", route: Int, access: Access,
    audience: AdmittedClients, userType: UserType? = nil, isShared: Bool = false, isPublishing: Bool = false,
    signature: Signature = .none
  ) {
    self.layer = layer
    self.pattern = pattern
    self.router = router
    self.tableName = tableName
    self.route = route
    self.access = access
    self.audience = audience
    self.userType = userType
    self.isShared = isShared
    self.isPublishing = isPublishing
    self.signature = signature
  }
}

extension GroupUse {
  /// Whether an identity tells whose groups they are.
  var isPersonal: Bool { pattern.isPersonal || pattern.captureNames.contains { ties[$0] != nil } }
}

/// The clients that a route admits.
package enum AdmittedClients: Sendable, Hashable {
  /// Also clients without credentials.
  case everyone
  /// Clients that the authenticator of that name accepts, with one of the values for each claim, and by all the other rules.
  case authenticated(by: String, require: [ExactText: Set<ExactText>] = [:], also: Set<ClientRule> = [])
  /// Holders of the token of a `publish` route: a program of the operator's own, like one behind the channel layer.
  case tokenHolder

  /// Whether all these clients are among the other ones too.
  package func isWithin(_ other: AdmittedClients) -> Bool {
    switch (self, other) {
    case (_, .everyone), (.tokenHolder, _): true
    case (.everyone, _), (_, .tokenHolder): false
    case (
      .authenticated(let name, let require, let also),
      .authenticated(let otherName, let others, let alsoOthers)
    ):
      name == otherName
        && ClientRule.rules(others, alsoOthers).allSatisfy { ClientRule.rules(require, also).imply($0) }
    }
  }
}
