import Bytes
package import ChannelLayers
package import JSON
package import WebSocketCore

/// The operations of a session for its consumer. Confined to the session's reactor.
package protocol ConsumerSession: AnyObject {
  /// The client's identity; nil for an anonymous client.
  var identity: Identity? { get }

  /// Whether clients of the session's route may send a token in a message.
  var takesTokens: Bool { get }

  /// Sends one message, after everything that the session was already sent.
  func send(_ kind: MessageKind, _ payload: RawSpan)

  /// Sends one message to the upstream of the session's route.
  func forward(_ kind: MessageKind, _ payload: RawSpan)

  /// Asks the view of the session's route about one message.
  func ask(_ kind: MessageKind, _ payload: RawSpan)

  /// The name with which the session is reached (`{channel}`); nil for a session in no layer.
  var address: String? { get }

  /// What the view of the session's route has answered last as its opaque value; nil without one.
  var viewState: JSON? { get }

  /// Sends the event to the session's group, including the session itself, through the route's channel layer.
  func publish(_ event: Event)
}

extension ConsumerSession {
  /// Answers with `{"error": reason}`; the session stays open.
  package func refuse(_ reason: String) {
    var text: [UInt8] = Array(#"{"error": "#.utf8)
    JSONText.append(string: reason, to: &text)
    text.append(UInt8(ascii: "}"))
    send(.text, text.rawBytes)
  }
}
