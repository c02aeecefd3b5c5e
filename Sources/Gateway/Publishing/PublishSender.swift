import ChannelLayers
import JSON

/// Who publishes, as far as it decides what a request may bring.
struct PublishSender: Sendable {
  /// The user whose token came with the request; nil for the back end, and on anonymous routes.
  var user: String?
  /// Whether whole events are taken, with any type and any fields.
  var maySendEvents: Bool

  /// A program with a token of the route, or anybody on an anonymous one.
  static let backEnd = PublishSender(user: nil, maySendEvents: true)

  /// What Sluice adds to an event so that its receivers know who has sent it, as it does to messages from WebSocket clients.
  ///
  /// Whoever may send events says it in them.
  func stamp(on event: Event) -> [Event.Field] {
    guard let user, event["user"] == nil else { return [] }
    return [Event.Field("user", .json(.string(user)))]
  }
}
