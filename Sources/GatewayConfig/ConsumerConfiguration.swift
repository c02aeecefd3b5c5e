package import Routing

/// The types of consumers. Each is also the name of an app that comes with Sluice.
package enum ConsumerType: String, Sendable, CaseIterable {
  case echo, chat, broadcast, proxy, view

  /// What a client sends, and what it gets: a row of the reference, in Markdown.
  package var exchange: (sent: String, received: String) {
    switch self {
    case .echo: ("any text or binary message", "the same message")
    case .chat:
      (
        "`{\"message\": X}`, where X is any JSON value",
        "`{\"message\": X}`, like everyone else in the group. Anything else is answered with `{\"error\": \"...\"}`, and the session stays open."
      )
    case .broadcast:
      ("any message (no message with `publish: nobody`)", "the same message, like everyone else in the group")
    case .proxy: ("any message", "what the WebSocket server behind the route sends")
    case .view: ("any message, which a view of the project is asked about", "what the view answers")
    }
  }

  /// All of them in words: `echo`, `chat` and so on.
  static let names = allCases.map { "`\($0.rawValue)`" }
}

/// `consumer:` and its options.
package enum ConsumerConfiguration: Sendable {
  case echo
  case chat(GroupConfiguration)
  case broadcast(GroupConfiguration, publish: PublishPolicy)
  case proxy(UpstreamConfiguration)
  /// The groups may have no templates: a route for requests and answers needs none.
  case view(GroupConfiguration, ViewConfiguration)

  package var type: ConsumerType {
    switch self {
    case .echo: .echo
    case .chat: .chat
    case .broadcast: .broadcast
    case .proxy: .proxy
    case .view: .view
    }
  }

  /// The groups of a route, and what its clients do with them.
  package struct Groups: Sendable {
    package var configuration: GroupConfiguration
    /// The clients whose messages go to the first group.
    package var writers: PublishPolicy
    package var signature: GroupUse.Signature
  }

  /// Nil for a consumer without groups.
  package var groups: Groups? {
    switch self {
    case .echo, .proxy: nil
    case .chat(let group):
      Groups(configuration: group, writers: .everyone, signature: group.showsUser ? .shown : .none)
    case .broadcast(let group, let policy):
      Groups(configuration: group, writers: policy, signature: .forgeable)
    case .view(let group, _):
      Groups(configuration: group, writers: .everyone, signature: .shownIfAdded)
    }
  }

  /// Nil for a consumer without groups.
  package var group: GroupConfiguration? { groups?.configuration }

  /// Whether the consumer depends on the client's identity.
  package var needsIdentity: Bool {
    groups.map { $0.signature == .shown || $0.writers == .authenticated } ?? false
  }

  /// The server that answers for a `proxy`; nil for any other consumer.
  package var upstream: UpstreamConfiguration? {
    if case .proxy(let upstream) = self { upstream } else { nil }
  }

  /// The view that decides for the sessions of a route; nil for any other consumer.
  package var view: ViewConfiguration? {
    get { if case .view(_, let view) = self { view } else { nil } }
    set {
      guard case .view(let group, let view) = self else { return }
      self = .view(group, newValue ?? view)
    }
  }

  /// Which clients may send frames to a broadcast group.
  package enum PublishPolicy: String, Sendable, Hashable, CaseIterable {
    case everyone
    /// Only authenticated clients.
    case authenticated
    /// No client; events come from the channel layer only.
    case nobody
  }
}
