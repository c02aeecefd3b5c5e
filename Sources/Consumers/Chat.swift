import Bytes
import ChannelLayers
import GatewayConfig
import JSON
import Transport
import WebSocketCore

/// The chat of the Channels tutorial: a client sends `{"message": X}`, and everyone in the group receives `{"message": X}`.
///
/// X is any JSON value. It travels as the event `{"type": "chat.message", "message": X}`, which the tutorial's Python consumer
/// sends and handles, too. Anything else is answered with `{"error": ...}`; the session stays open.
public final class Chat: Sendable {
  package static let eventType = "chat.message"
  package static let member = "message"

  let groups: GroupConfiguration
  let events: RouteEvents
  private let showsUser: Bool
  /// Whether frames say which group they came from.
  let hasEnvelope: Bool
  /// The member of the event and of the frame that names the sender.
  private static let user = "user"

  init(_ configuration: GroupConfiguration, report: (@Sendable (UnfitEvents.Report) -> Void)? = nil) {
    groups = configuration
    showsUser = configuration.showsUser
    hasEnvelope = configuration.options[.envelope]
    events = RouteEvents(configuration.events, report: report)
  }

  func received(_ kind: MessageKind, _ payload: RawSpan, from session: some ConsumerSession) {
    guard kind == .text else {
      return session.refuse(#"expected a text message such as {"message": ...}, found a binary one"#)
    }
    do {
      guard let range = try JSONScanner.member(Self.member, of: payload) else {
        return session.refuse(fault(of: payload, takesTokens: session.takesTokens))
      }
      let value = [UInt8](copying: payload.extracting(range))
      var fields = [Event.Field(Self.member, .encodedJSON(value))]
      if showsUser, let identity = session.identity {
        fields.append(.init(Self.user, .json(.string(identity.user))))
      }
      session.publish(Event(type: Self.eventType, fields: fields))
    } catch {
      session.refuse("the message is \(error)")
    }
  }

  /// The JSON that clients receive for an event, without a frame; nil if the event has no message.
  static func text(of event: Event) -> [UInt8]? {
    guard let value = event[member]?.jsonText else { return nil }
    return json(value, from: event[user]?.jsonText)
  }

  /// `{"message": VALUE, "user": SENDER}`, without the member for nil.
  private static func json(_ value: [UInt8], from sender: [UInt8]?) -> [UInt8] {
    let member = sender.map { Array(#", "user": "#.utf8) + $0 } ?? []
    return Array(#"{"message": "#.utf8) + value + member + [UInt8(ascii: "}")]
  }

  func render(_ event: Event, for receiver: EventReceiver?, into frames: SharedBytes) -> Rendering {
    let handler = event.handler
    if let rendering = events.render(event, as: handler, for: receiver, into: frames) { return rendering }
    switch handler {
    case Self.eventType:
      return events.chatMessage(event, Self.render(event, showsUser: showsUser, into: frames))
    // One of the route's groups may be shared with a broadcast route.
    case Broadcast.eventType: return renderBroadcast(event, into: frames)
    default:
      // Its content never comes from outside of the process.
      guard event.type == Event.presenceType, case .encodedJSON(let text)? = event[Event.presenceField]
      else { return events.unknown(event) }
      frames.appendFrame(.text, prefix: #"{"presence": "#, payload: text.rawBytes, suffix: "}")
      return .frames
    }
  }

  /// A text that a user has published is rendered as that user's message, without the name on a route that does not show it.
  /// Unchanged it could pass for the message of another user, or for a frame of the gateway's, such as one about presence, which
  /// clients of the route cannot send.
  private func renderBroadcast(_ event: Event, into frames: SharedBytes) -> Rendering {
    if isSigned(event), !showsUser {
      guard let message = event["text"]?.stringAsJSON else {
        return events.dropped(
          event, "the field \"text\" must be text: a chat shows what a user publishes as a message")
      }
      return Self.append(message, to: frames)
    }
    switch SignedBroadcast(event) {
    case .text(let text)?:
      frames.appendFrame(.text, text.rawBytes)
      return .frames
    case .unfit?: return events.dropped(event, SignedBroadcast.unfitReason)
    case nil: return events.message(event, frames.appendMessage(of: event))
    }
  }

  /// Whether a user has published the broadcast, so that its frame has to be that of a message.
  func isSigned(_ event: Event) -> Bool {
    event[Self.user] != nil && event.handler == Broadcast.eventType
  }

  /// A broadcast that names the user who published it, as it is shown to clients that see the senders of messages.
  enum SignedBroadcast {
    /// JSON like that of a chat's message.
    case text([UInt8])
    /// Its contents cannot be shown with their sender, because they are bytes or no text at all.
    case unfit

    static let unfitReason =
      "the field \"text\" must be text: this route shows a user's message with its sender"

    /// Nil for an event that names no user.
    init?(_ event: Event) {
      guard let user = event[Chat.user]?.jsonText else { return nil }
      self = event["text"]?.stringAsJSON.map { .text(Chat.json($0, from: user)) } ?? .unfit
    }
  }

  /// Renders an event of the type `chat.message`.
  static func render(_ event: Event, showsUser: Bool = false, into frames: SharedBytes) -> Rendering {
    guard let message = event[member]?.jsonText else { return .ignored }
    guard showsUser, let user = event[user]?.jsonText else { return append(message, to: frames) }
    frames.appendFrame(.text, json(message, from: user).rawBytes)
    return .frames
  }

  private static func append(_ message: [UInt8], to frames: SharedBytes) -> Rendering {
    frames.appendFrame(.text, prefix: #"{"message": "#, payload: message.rawBytes, suffix: "}")
    return .frames
  }
}
