import Bytes
import ChannelLayers
import GatewayConfig
import JSON
import Routing
import WebSocketCore

/// What a route does by itself with messages of its clients: answers, and events for groups that the session is in.
///
/// A message is gone through once; a route without `receive` has none of this.
struct Receiving: Sendable {
  /// What is left to do with a message.
  enum Rest {
    case nothing
    /// What the consumer does with it. The members are those of a JSON object.
    case publish(FrameMembers?)
    case ask
  }

  private let by: String?
  private let kinds: [ExactText: ReceiveAction]
  private let otherwise: ReceiveAction
  /// The kinds in words, as many as fit.
  private let shownKinds: String
  /// The events that the route sends to everybody but the sender, in the form in which they are looked up.
  private let typesForOthers: Set<String>

  /// - Parameter typesForOthers: of the route's `deliver`.
  init(_ configuration: ReceiveConfiguration, typesForOthers: Set<String>) {
    by = configuration.by
    kinds = Dictionary(
      configuration.kinds.map { (ExactText(text: $0.key), $0.value) }, uniquingKeysWith: { first, _ in first }
    )
    otherwise = configuration.otherwise
    shownKinds = Self.shown(configuration.kinds.keys.sorted())
    self.typesForOthers = typesForOthers
  }

  /// The most bytes of the kinds' names in an answer.
  private static let longestList = 400

  private static func shown(_ names: [String]) -> String {
    var text = ""
    for (number, name) in names.enumerated() {
      guard text.utf8.count + name.utf8.count <= longestList else {
        return text + (text.isEmpty ? "" : " ") + "and \(names.count - number) more"
      }
      text += (text.isEmpty ? "" : ", ") + name
    }
    return text
  }

  // MARK: - One message

  func take(_ kind: MessageKind, _ payload: RawSpan, from session: some ConsumerSession) -> Rest {
    guard kind == .text, let frame = FrameMembers(payload) else {
      return carryOut(otherwise, nil, nil, payload, session)
    }
    let name = by.flatMap { frame.value(at: $0, in: payload)?.kindName }
    let action = name.flatMap { kinds[ExactText(text: $0)] }
    return carryOut(action ?? otherwise, name, frame, payload, session)
  }

  private func carryOut(
    _ action: ReceiveAction, _ kind: String?, _ frame: FrameMembers?, _ payload: RawSpan,
    _ session: some ConsumerSession
  ) -> Rest {
    switch action {
    case .reply(let template):
      var filling = MessageFilling(session, frame: frame)
      session.send(.text, filling.json(template, payload).rawBytes)
    case .event(let event): publish(event, frame, payload, session)
    case .publish: return .publish(frame)
    case .ask: return .ask
    case .drop: break
    case .error: session.refuse(fault(of: kind, frame))
    }
    return .nothing
  }

  /// In the client's words, for its author.
  private func fault(of kind: String?, _ frame: FrameMembers?) -> String {
    guard let by, !shownKinds.isEmpty else { return "this route takes no such message" }
    guard frame != nil else {
      return "expected a JSON object with the member \"\(by)\", one of: \(shownKinds)"
    }
    guard let kind else { return "the message has no member \"\(by)\" with one of: \(shownKinds)" }
    let shown = kind.utf8.count <= Self.longestKind ? kind : String(kind.prefix(Self.longestKind / 4)) + "..."
    return "\"\(shown)\" is not taken as \"\(by)\": send one of: \(shownKinds)"
  }

  /// A longer kind is not repeated as a whole. Bytes.
  private static let longestKind = 80

  // MARK: - Events

  private func publish(
    _ action: ReceivedEvent, _ frame: FrameMembers?, _ payload: RawSpan, _ session: some ConsumerSession
  ) {
    var filling = MessageFilling(session, frame: frame)
    guard let group = group(of: action, &filling, payload) else {
      return session.refuse("the message was not sent: the session is in no such group")
    }
    filling.group = group
    var event = Event(type: action.type)
    for field in action.fields {
      event.fields.append(.init(field.key, filling.value(field.value, payload)))
    }
    if action.isEphemeral { event.fields.append(.init(Event.ephemeralMark, .json(.bool(true)))) }
    if action.isToOthers || typesForOthers.contains(event.handler) { event = event.notTo(session) }
    session.publish(event, to: group)
  }

  private func group<Session>(
    of action: ReceivedEvent, _ filling: inout MessageFilling<Session>, _ payload: RawSpan
  ) -> String? {
    let session = filling.session
    switch action.group {
    case .first: return session.firstGroup
    case .matching(let pattern):
      return session.group { name in
        pattern.matchesAny(name, captures: session.captures) { session.identity?.values(of: $0) }
      }
    case .named(let parts):
      let name = filling.text(parts, payload)
      return session.group { $0 == name }
    }
  }
}

extension Event {
  /// The same event for all but this session.
  func notTo(_ session: some ConsumerSession) -> Event {
    guard let address = session.address else { return self }
    return addressed(to: EventRecipients(except: [address]))
  }
}

extension EventValue {
  /// The kind that a member of a message tells: a text, a whole number, or a truth value.
  fileprivate var kindName: String? {
    switch self {
    case .text(let utf8): String(decoding: utf8, as: UTF8.self)
    case .json(let value): value.textInNames
    case .encodedJSON, .bytes: nil
    }
  }
}
