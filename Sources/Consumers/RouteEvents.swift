import Bytes
import ChannelLayers
import GatewayConfig
import JSON
import Transport
import WebSocketCore

/// The events that every route with a group handles besides its consumer's own: those of the route's `events:`, and the ASGI
/// events `websocket.send` and `websocket.close` from the layer.
struct RouteEvents: Sendable {
  /// By type, in the form in which it is looked up.
  private let templates: [String: (template: EventTemplate, isPersonal: Bool)]
  /// `deliver`, in the same form.
  let rules: [String: DeliveryRule]
  /// Whether some event closes who gets it.
  let closes: Bool
  /// `connect`
  let greetings: [MessageTemplate]
  /// Whether the frame of some event names its group.
  let nameGroup: Bool
  /// Gets the events that do not fit; nil if nothing is reported.
  let unfit: UnfitEvents?

  init(_ group: GroupConfiguration, report: (@Sendable (UnfitEvents.Report) -> Void)?) {
    unfit = report.map { UnfitEvents(known: group.knownTypes, report: $0) }
    let rules = Self.byHandler(group.deliveries)
    var templates: [String: (template: EventTemplate, isPersonal: Bool)] = [:]
    for (handler, template) in Self.byHandler(group.events) {
      let isForOthers = rules[handler]?.recipients == .others && template == .wholeEvent
      templates[handler] = (isForOthers ? .eventForOthers : template, template.isPersonal)
    }
    // What only `deliver` names is sent as it is.
    for (handler, rule) in rules
    where templates[handler] == nil && !GroupConfiguration.builtInTypes.contains(handler) {
      templates[handler] = (rule.recipients == .others ? .eventForOthers : .wholeEvent, false)
    }
    self.templates = templates
    self.rules = rules
    closes = rules.values.contains { $0.closing != nil }
    greetings = group.greetings
    nameGroup = group.events.values.contains(where: \.namesGroup)
  }

  /// The loader has made sure that no two types are equal.
  private static func byHandler<Value>(_ values: [String: Value]) -> [String: Value] {
    Dictionary(values.map { (HandlerName.of($0.key), $0.value) }, uniquingKeysWith: { first, _ in first })
  }

  /// How a member of that name is added to the frame of an event.
  func marking(of event: Event, with mark: String) -> FrameMark.Form {
    let handler = event.handler
    if rules[handler]?.text != nil { return .message }
    if let (template, _) = templates[handler] {
      switch template {
      case .object(let members): return members.contains { $0.key == mark } ? .wrapped : .member
      // A position is never mixed with the fields of an event.
      case .wholeEvent, .eventForOthers:
        return mark == Consumer.envelope && event[mark] == nil ? .member : .wrapped
      case .field, .text, .constant, .array: return .wrapped
      }
    }
    switch handler {
    case "websocket.send", Broadcast.eventType: return .message
    case Chat.eventType, Event.presenceType: return .member
    default: return .wrapped
    }
  }

  /// The meaning of such an event for a client, independent of its transport.
  enum Meaning {
    /// JSON from a template, or the text of a rule.
    case text([UInt8])
    /// The event's `text` or `bytes`.
    case message
    /// The result if there is nothing to send.
    case rendering(Rendering)
  }

  /// Nil if the consumer has to handle the event.
  ///
  /// - Parameter handler: the event's, which the caller needs too.
  func render(_ event: Event, as handler: String, for receiver: EventReceiver?, into frames: SharedBytes)
    -> Rendering?
  {
    switch meaning(of: event, as: handler, for: receiver) {
    case .text(let text):
      frames.appendFrame(.text, text.rawBytes)
      return .frames
    case .message: return message(event, frames.appendMessage(of: event))
    case .rendering(let rendering): return rendering
    case nil: return nil
    }
  }

  /// Nil if the consumer has to handle the event.
  func meaning(of event: Event, as handler: String, for receiver: EventReceiver?) -> Meaning? {
    if !rules.isEmpty, let text = rules[handler]?.text {
      return .text(Array(text.filled { self.text(of: $0, in: event) ?? "" }.utf8))
    }
    if !templates.isEmpty, let (template, isPersonal) = templates[handler] {
      guard !isPersonal || receiver != nil else { return .rendering(.personal) }
      return .text(template.rendered(event, for: isPersonal ? receiver : nil, unfit))
    }
    switch handler {
    case "websocket.send": return .message
    case "websocket.close": return .rendering(closing(event))
    default: return nil
    }
  }

  /// Renders the event for clients that see frames as they were published, without their sender. One of the route's groups may be shared
  /// with a chat route.
  func renderUnsigned(_ event: Event, for receiver: EventReceiver?, into frames: SharedBytes) -> Rendering {
    let handler = event.handler
    if let rendering = render(event, as: handler, for: receiver, into: frames) { return rendering }
    switch handler {
    case Broadcast.eventType: return message(event, frames.appendMessage(of: event))
    case Chat.eventType: return chatMessage(event, Chat.render(event, into: frames))
    default: return unknown(event)
    }
  }

  // MARK: - What does not fit

  /// Handles an event that the route does not know.
  func unknown(_ event: Event) -> Rendering {
    unfit?.unknown(event)
    return .ignored
  }

  /// Reports an event with `text` or `bytes` that could not be rendered.
  func message(_ event: Event, _ rendering: Rendering) -> Rendering {
    guard case .ignored = rendering else { return rendering }
    return dropped(event, Self.needsMessage(event))
  }

  func dropped(_ event: Event, _ reason: @autoclosure () -> String, hint: String? = nil) -> Rendering {
    unfit?.dropped(event, reason(), hint: hint)
    return .ignored
  }

  private static func needsMessage(_ event: Event) -> String {
    switch (event["text"], event["bytes"]) {
    case (nil, nil), (.json(.null), nil): "the event has neither \"text\" nor \"bytes\""
    case (nil, _), (.json(.null), _): "the field \"bytes\" does not hold bytes"
    default: "the field \"text\" is not a string"
    }
  }

  /// Reports an event with a chat's message that could not be rendered.
  func chatMessage(_ event: Event, _ rendering: Rendering) -> Rendering {
    guard case .ignored = rendering else { return rendering }
    return dropped(
      event,
      event[Chat.member] == nil
        ? "the event has no field \"message\"" : "the field \"message\" holds bytes, which JSON cannot carry")
  }

  /// ASGI: `code` defaults to 1000, `reason` to an empty text. An event with a code that is not valid on the wire is dropped.
  private func closing(_ event: Event) -> Rendering {
    let code: UInt16
    switch event["code"] {
    case nil, .json(.null)?: code = 1000
    case .json(.integer(let number))?:
      guard let short = UInt16(exactly: number), CloseCode(rawValue: short).isValidOnWire else {
        return unsendable(event)
      }
      code = short
    default: return unsendable(event)
    }
    return .close(code: code, reason: event["reason"]?.plainText ?? "")
  }

  private func unsendable(_ event: Event) -> Rendering {
    dropped(
      event, "the field \"code\" is not a close code that may be sent",
      hint: "1000 to 1003, 1007 to 1014, or 3000 to 4999")
  }
}
