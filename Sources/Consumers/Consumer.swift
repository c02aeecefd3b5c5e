import Bytes
package import ChannelLayers
package import GatewayConfig
package import Transport
package import WebSocketCore

/// The behaviour of the sessions of one route: a built-in consumer with the route's options.
///
/// One value for each route, shared by all its sessions and reactors; the state of a session is in the session. Consumers with
/// options are classes, because copying the options for each message took a tenth of an echo's instructions. A new consumer
/// type is a case, a file of its own beside this one where a line does not do, and the places that the compiler then reports.
public enum Consumer: Sendable {
  /// Sends every text and binary message back unchanged.
  case echo
  case chat(Chat)
  case broadcast(Broadcast)
  /// Passes every message on to an upstream WebSocket server unchanged, and its messages back to the client.
  case proxy
  /// Asks a view about every message.
  case view(ViewAnswered)

  /// - Parameter report: called for events that clients of the route do not get, or get incompletely.
  package init(
    _ configuration: ConsumerConfiguration, report: (@Sendable (UnfitEvents.Report) -> Void)? = nil
  ) {
    switch configuration {
    case .echo: self = .echo
    case .chat(let group): self = .chat(Chat(group, report: report))
    case .broadcast(let group, let policy):
      self = .broadcast(Broadcast(group, publish: policy, report: report))
    case .proxy: self = .proxy
    case .view(let group, _): self = .view(ViewAnswered(group, report: report))
    }
  }

  /// Whether messages are only sent back.
  package var isEcho: Bool {
    switch self {
    case .echo: true
    case .chat, .broadcast, .proxy, .view: false
    }
  }

  /// Handles one message from the client. Text has been checked to be UTF-8.
  package func received(_ kind: MessageKind, _ payload: RawSpan, from session: some ConsumerSession) {
    switch self {
    case .echo: session.send(kind, payload)
    case .chat(let chat): chat.received(kind, payload, from: session)
    case .broadcast(let broadcast): broadcast.received(kind, payload, from: session)
    case .proxy: session.forward(kind, payload)
    case .view(let view): view.received(kind, payload, from: session)
    }
  }

  /// Notifies the client that its message did not, or may not, have reached everybody.
  package func undelivered(_ reason: Undelivered, to session: some ConsumerSession) {
    switch self {
    case .echo, .proxy: break
    case .chat, .broadcast, .view: session.refuse(reason.rawValue)
    }
  }
}

extension Consumer {
  /// Tells a client that was just accepted what its route says first.
  package func greet(_ session: some ConsumerSession) {
    guard let greetings = events?.greetings, !greetings.isEmpty else { return }
    var filling = MessageFilling(session)
    for greeting in greetings { session.send(.text, filling.json(greeting, [UInt8]().rawBytes).rawBytes) }
  }

  /// Nil for a consumer without groups.
  private var events: RouteEvents? {
    switch self {
    case .echo, .proxy: nil
    case .chat(let chat): chat.events
    case .broadcast(let broadcast): broadcast.events
    case .view(let view): view.events
    }
  }

  package var selects: Bool { events?.selects ?? false }

  package func recipients(of event: Event, own: EventRecipients) -> EventRecipients? {
    guard let events else { return own.fault == nil ? own : nil }
    return events.recipients(of: event, own: own)
  }
}

extension Consumer: EventRenderer {
  package func render(_ event: Event, for receiver: EventReceiver?, into frames: SharedBytes) -> Rendering {
    guard hasEnvelope, let group = event.group else {
      return renderPlainly(event, for: receiver, into: frames)
    }
    let mark = FrameMark(name: Self.envelope, value: group, form: marking(of: event, with: Self.envelope))
    return mark.add(to: frames) { renderPlainly(event, for: receiver, into: $0) }
  }

  private func renderPlainly(_ event: Event, for receiver: EventReceiver?, into frames: SharedBytes)
    -> Rendering
  {
    switch self {
    case .echo, .proxy: .ignored
    case .chat(let chat): chat.events.closing(event, chat.render(event, for: receiver, into: frames))
    case .broadcast(let broadcast):
      broadcast.events.closing(event, broadcast.render(event, for: receiver, into: frames))
    case .view(let view): view.events.closing(event, view.render(event, for: receiver, into: frames))
    }
  }

  package var namesGroup: Bool {
    switch self {
    case .echo, .proxy: false
    case .chat(let chat): chat.hasEnvelope || chat.events.nameGroup
    case .broadcast(let broadcast): broadcast.hasEnvelope || broadcast.events.nameGroup
    case .view(let view): view.hasEnvelope || view.events.nameGroup
    }
  }

  /// The member of an envelope that names the group.
  static let envelope = "group"

  private var hasEnvelope: Bool {
    switch self {
    case .echo, .proxy: false
    case .chat(let chat): chat.hasEnvelope
    case .broadcast(let broadcast): broadcast.hasEnvelope
    case .view(let view): view.hasEnvelope
    }
  }

  /// How the position is added to the frame of an event, which may have an envelope already.
  func numbering(of event: Event, with mark: String) -> FrameMark.Form {
    guard hasEnvelope, event.group != nil else { return marking(of: event, with: mark) }
    let inner = marking(of: event, with: Self.envelope)
    return inner == .member ? marking(of: event, with: mark) : .member
  }

  /// How a member of that name is added to the frame of an event.
  private func marking(of event: Event, with mark: String) -> FrameMark.Form {
    switch self {
    case .echo, .proxy: .wrapped
    case .chat(let chat): chat.isSigned(event) ? .member : chat.events.marking(of: event, with: mark)
    case .broadcast(let broadcast): broadcast.events.marking(of: event, with: mark)
    case .view(let view): view.events.marking(of: event, with: mark)
    }
  }
}
