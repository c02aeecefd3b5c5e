/// One way in which clients come by groups: a template or a pattern of a route, and what can be done with the groups it names.
///
/// A route has as many uses as it has templates and patterns.
package struct GroupUse: Sendable {
  package enum Part: Sendable, Hashable {
    case literal(String)
    /// What the route captures under that name.
    case capture(String)
    /// A field of who the client is: `user`, `claims.team`. Any name that is not empty.
    case identity(String)
    /// `*` in a pattern: any run of characters, also none.
    case anything
  }

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
    /// Messages are shown to the clients with the user who has sent them.
    case shown
    /// The clients send frames or events as they like, and these can name any user.
    case forgeable
  }

  /// Groups of different layers never meet.
  package var layer: String
  package var parts: [Part]
  /// The table that the route is in, what tells it from other tables, and the route's place there.
  package var router: Router
  package var tableName: String
  package var route: Int
  package var access: Access
  package var audience: Audience
  /// The operator says that others may share these groups.
  package var isShared: Bool
  /// Whether the client sends events over HTTP, and is in no group itself.
  package var isPublishing: Bool
  package var signature: Signature

  package init(
    layer: String, parts: [Part], router: Router, tableName: String = "", route: Int, access: Access,
    audience: Audience, isShared: Bool = false, isPublishing: Bool = false, signature: Signature = .none
  ) {
    self.layer = layer
    self.parts = parts
    self.router = router
    self.tableName = tableName
    self.route = route
    self.access = access
    self.audience = audience
    self.isShared = isShared
    self.isPublishing = isPublishing
    self.signature = signature
  }

  /// The fields of the identity that tell the groups of one client from those of another.
  package var identityFields: [String] {
    parts.compactMap { if case .identity(let field) = $0 { field } else { nil } }
  }

  /// As the operator wrote it.
  package var text: String {
    parts.map { part in
      switch part {
      case .literal(let text): text
      case .capture(let name), .identity(let name): "{\(name)}"
      case .anything: "*"
      }
    }.joined()
  }
}

/// Who can use a route.
package enum Audience: Sendable, Hashable {
  /// Also clients without credentials.
  case everyone
  /// Those whom the authenticator of that name lets in, and whose claims have one of the values each.
  case authenticated(by: String, require: [String: Set<String>] = [:])
  /// Who has the token of a `publish` route: a program of the operator's own, like one that is behind the channel layer.
  case tokenHolder

  /// Whether everybody in it is in the other one too.
  package func isWithin(_ other: Audience) -> Bool {
    switch (self, other) {
    case (_, .everyone), (.tokenHolder, _): true
    case (.everyone, _), (_, .tokenHolder): false
    case (.authenticated(let name, let own), .authenticated(let otherName, let others)):
      name == otherName
        && others.allSatisfy { claim, values in own[claim].map { $0.isSubset(of: values) } ?? false }
    }
  }
}
