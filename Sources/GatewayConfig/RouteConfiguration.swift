package import JSON
package import Routing

/// A WebSocket route with everything that its sessions need. Nothing is looked up by name after loading.
package struct WebSocketRoute: Sendable {
  /// `name:`, or the pattern as written, preceded by all outer patterns.
  package var name: String
  /// The place of the route in the file.
  package var range: SourceRange
  package var consumer: ConsumerConfiguration
  package var origins: OriginPolicy
  /// In the route's order of preference; if empty, none is chosen.
  package var subprotocols: [String]
  package var limits: SessionLimits
  /// Nil if messages are not compressed.
  package var compression: CompressionConfiguration?
  /// Nil if clients do not authenticate.
  package var auth: RouteAuth?
  package var refusals = RefusalForm.http
  /// The options of the consumer that are single values.
  package var options = RouteOptions()
}

/// What holds for handshakes whose path no route matches: the settings around all routes.
package struct UnmatchedHandshakes: Sendable {
  package var origins = OriginPolicy.sameHost
  package var refusals = RefusalForm.http
}

/// The groups that sessions of a route join, and how the sessions render their events.
package struct GroupConfiguration: Sendable {
  /// `channel_layer:`, the alias of the layer that the groups are in.
  package var layer = "default"
  /// `group:`, at least one. Messages of clients go to the first group; sessions only receive events of the others.
  package var templates: [GroupPattern]
  /// Whether the route's clients send messages to the first group.
  package var takesMessages = true
  /// `subscribe:`, the groups that a client may subscribe to.
  package var subscribe: [GroupPattern] = []
  /// `groups_from_view:`, the groups that the answer of a view may name; nil for none.
  package var fromView: GroupsFromView?
  /// `events:`, event type to frame, in addition to the consumer's own event types.
  package var events: [String: EventTemplate]
  /// `deliver:`, by event type.
  package var deliveries: [String: DeliveryRule] = [:]
  /// `receive:`; nil if all messages are the consumer's.
  package var receive: ReceiveConfiguration?
  /// `connect:`, what each client is told first.
  package var greetings: [MessageTemplate] = []
  /// The options of the consumer that are single values.
  package var options = RouteOptions()
  /// `history:`; nil if no events are kept.
  package var history: HistoryConfiguration?

  /// `identity:`, whether a client's messages name its user.
  package var showsUser: Bool { options[.identity] }

  /// `presence:`, whether sessions receive the group's presence.
  package var presence: Bool { options[.presence] }

  /// The templates as written, in their order.
  package var text: String { templates.map(\.text).joined(separator: ", ") }
}

/// `limits:` as they hold for one session: the route's, else the application's, else the server's, else these.
package struct SessionLimits: Sendable, Hashable {
  /// Largest message from a client, all its fragments together; larger is closed with 1009.
  package var message = ByteCount.mebibytes(1)
  /// Most bytes waiting for a slow reader; more is closed with 1013.
  package var sendQueue = ByteCount.mebibytes(1)
  /// `limits.send_memory` of the server, which `sendQueue` has to fit into; nil where it is not written.
  package var sendMemory: ByteCount?
  /// `limits.receive_memory` of the server, which `message` has to fit into; nil where it is not written.
  package var receiveMemory: ByteCount?
  /// Nil for no keep-alive.
  package var ping: KeepAlive? = KeepAlive()
  package var rate = MessageRate()
  /// `limits.per_user.messages` of the server.
  package var userMessages: Rate?

  /// Whether messages are counted.
  package var countsMessages: Bool { rate.messages != nil || userMessages != nil }

  package struct KeepAlive: Sendable, Hashable {
    /// A ping is sent after this long without a frame from the client.
    package var interval: Duration = .seconds(30)
    /// The session is closed when this long after the ping nothing came.
    package var timeout: Duration = .seconds(30)
  }
}

/// An HTTP route and its action.
package struct HTTPRoute: Sendable {
  package var name: String
  package var range: SourceRange
  package var action: HTTPAction
  /// Nil if clients do not authenticate.
  package var auth: RouteAuth?

  /// Nil if the route is not an event stream.
  package var events: EventStreamConfiguration? {
    if case .events(let events) = action { events } else { nil }
  }
}

package enum HTTPAction: Sendable {
  /// Files below an absolute, existing directory. The route matches as a prefix; the rest of the path names the file.
  ///
  /// `fallback` is a file below it that is served if the file does not exist, for pages that route by path themselves.
  case staticFiles(directory: String, fallback: String?)
  case respond(FixedResponse)
  case redirect(to: TextTemplate, status: Int)
  case health(HealthProbe)
  /// The route matches as a prefix, like a route with files.
  case proxy(UpstreamConfiguration)
  /// The publish API. Its other operations are paths below the route's path.
  case publish(PublishConfiguration)
  /// Served by the workers, not by the HTTP service.
  case events(EventStreamConfiguration)

  /// Whether the route also answers all paths below its own.
  package var answersBelow: Bool {
    switch self {
    case .staticFiles, .proxy, .publish: true
    case .respond, .redirect, .health, .events: false
    }
  }

  /// Whether the action depends on the client's identity. For the others `auth` would protect nothing.
  package var dependsOnIdentity: Bool {
    switch self {
    case .staticFiles, .proxy, .respond, .redirect, .health: false
    case .events, .publish: true
    }
  }
}

package struct FixedResponse: Sendable {
  package var status: Int
  /// In the order written, with names as written. With a body, `Content-Type` is always among them.
  package var headers: [(name: String, value: String)]
  package var body: [UInt8]
}

package enum HealthProbe: String, Sendable, Hashable, CaseIterable {
  /// The process is alive: 200 until it ends.
  case live
  /// The process accepts new sessions: 200, or 503 while it starts or stops.
  case ready
}

/// Turns an event into one text frame of JSON for the clients of a route.
package indirect enum EventTemplate: Sendable, Hashable {
  /// `event`: the whole event as it came.
  case wholeEvent
  /// The same without its field `except`, which has addresses of sessions.
  case eventForOthers
  /// `"{field}"` alone: the field's value with its type; absent is null.
  case field(String)
  /// Text around fields.
  case text(TextTemplate)
  /// A value without fields.
  case constant(JSON)
  case array([EventTemplate])
  /// In the order written.
  case object([Member])

  package struct Member: Sendable, Hashable {
    package var key: String
    package var value: EventTemplate
  }
}

extension EventTemplate {
  /// `{channel}`: not a field of the event, but the address of the session that receives the frame.
  package static let addressPlace = "channel"

  /// `{sluice.group}`: not a field of the event, but the group that it came from.
  package static let groupPlace = "sluice.group"

  /// What `{state.x}` of a route with a view becomes: not a field of the event, but what the view keeps about the receiving session.
  package static let statePrefix = "sluice.state."

  /// Whether every session needs a frame of its own.
  package var isPersonal: Bool { hasPlace { $0 == Self.addressPlace || $0.hasPrefix(Self.statePrefix) } }

  /// Whether the frame of an event depends on its group.
  package var namesGroup: Bool { has(Self.groupPlace) }

  /// Whether it shows that field, or something within it.
  func has(_ place: String) -> Bool { hasPlace { $0 == place || $0.hasPrefix(place + ".") } }

  private func hasPlace(_ isMeant: (String) -> Bool) -> Bool {
    switch self {
    case .wholeEvent, .eventForOthers, .constant: false
    case .field(let name): isMeant(name)
    case .text(let template): template.places.contains(where: isMeant)
    case .array(let elements): elements.contains { $0.hasPlace(isMeant) }
    case .object(let members): members.contains { $0.value.hasPlace(isMeant) }
    }
  }
}

/// Text with `{name}` placeholders; `{{` and `}}` stand for braces.
package struct TextTemplate: Sendable, Hashable {
  package enum Part: Sendable, Hashable {
    case literal(String)
    case place(String)
  }

  package var parts: [Part]

  /// The names of the placeholders.
  var places: [String] { parts.compactMap { if case .place(let name) = $0 { name } else { nil } } }

  /// Fills the placeholders. A name without a value becomes empty.
  package func filled(_ value: (String) -> String?) -> String {
    var text = ""
    for part in parts {
      switch part {
      case .literal(let literal): text += literal
      case .place(let name): text += value(name) ?? ""
      }
    }
    return text
  }
}

extension ApplicationConfiguration {
  /// Whether a group may be the first one of a route with `presence`, whatever the route captures. Layers are not compared, as two
  /// aliases may stand for one layer.
  package func keepsPresence(of group: String) -> Bool {
    webSocketRoutes.contains { route in
      guard let groups = route.consumer.group, groups.presence, let first = groups.templates.first else {
        return false
      }
      return GroupPattern(anyOf: first).matches(group)
    }
  }
}
