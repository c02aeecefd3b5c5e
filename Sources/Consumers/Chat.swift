import Bytes
import ChannelLayers
import GatewayConfig
import JSON
import Routing
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
  /// The member of the event and of the frame that names the sender.
  private static let user = "user"

  init(_ configuration: GroupConfiguration, report: (@Sendable (UnfitEvents.Report) -> Void)? = nil) {
    groups = configuration
    showsUser = configuration.showsUser
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

  func render(_ event: Event, for address: String?, into frames: SharedBytes) -> Rendering {
    let handler = event.handler
    if let rendering = events.render(event, as: handler, for: address, into: frames) { return rendering }
    switch handler {
    case Self.eventType:
      return events.chatMessage(event, Self.render(event, showsUser: showsUser, into: frames))
    // One of the route's groups may be shared with a broadcast route.
    case Broadcast.eventType:
      return isSigned(event) && !showsUser
        ? renderUnnamed(event, into: frames) : renderBroadcast(event, into: frames)
    default:
      guard event.type == Event.presenceType, case .frames = frames.appendPresence(event) else {
        return events.unknown(event)
      }
      return .frames
    }
  }

  /// On a route with `identity`, a text that a user has published is rendered as that user's message. Unchanged it could pass
  /// for the message of another user.
  private func renderBroadcast(_ event: Event, into frames: SharedBytes) -> Rendering {
    guard isSigned(event), let broadcast = SignedBroadcast(event) else {
      return events.message(event, frames.appendMessage(of: event))
    }
    switch broadcast {
    case .text(let text):
      frames.appendFrame(.text, text.rawBytes)
      return .frames
    case .unfit: return events.dropped(event, SignedBroadcast.unfitReason)
    }
  }

  /// Whether a user has published the broadcast, so that its frame has to be that of a message.
  func isSigned(_ event: Event) -> Bool {
    event[Self.user] != nil && event.handler == Broadcast.eventType
  }

  /// Renders a text that a user has published, on a route that does not name senders. Unchanged it could pass for a frame of the
  /// gateway's, such as one about presence, which clients of the route cannot send.
  private func renderUnnamed(_ event: Event, into frames: SharedBytes) -> Rendering {
    guard let text = event["text"], text.isText, let message = text.jsonText else {
      return events.dropped(
        event, "the field \"text\" must be text: a chat shows what a user publishes as a message")
    }
    frames.appendFrame(.text, prefix: #"{"message": "#, payload: message.rawBytes, suffix: "}")
    return .frames
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
      guard let text = event["text"], text.isText, let message = text.jsonText else {
        self = .unfit
        return
      }
      self = .text(Chat.json(message, from: user))
    }
  }

  /// Renders an event of the type `chat.message`.
  static func render(_ event: Event, showsUser: Bool = false, into frames: SharedBytes) -> Rendering {
    guard let value = event[member] else { return .ignored }
    if showsUser, let user = event[user]?.jsonText {
      guard let text = value.jsonText else { return .ignored }
      frames.appendFrame(.text, json(text, from: user).rawBytes)
      return .frames
    }
    switch value {
    case .encodedJSON(let text):
      frames.appendFrame(.text, prefix: #"{"message": "#, payload: text.rawBytes, suffix: "}")
    case .json, .text, .bytes:
      guard let text = value.jsonText else { return .ignored }
      frames.appendFrame(.text, prefix: #"{"message": "#, payload: text.rawBytes, suffix: "}")
    }
    return .frames
  }
}
