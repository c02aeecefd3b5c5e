import ChannelLayers
import JSON

/// The sender of a publish request, as far as it decides what the request may contain.
struct PublishSender: Sendable {
  /// The user whose token the request has; nil for the back end, and on anonymous routes.
  var user: String?
  /// Whether whole events are allowed, with any type and any fields.
  var maySendEvents: Bool

  /// A program with a token of the route, or any client of an anonymous one.
  static let backEnd = PublishSender(user: nil, maySendEvents: true)

  /// The fields that Sluice adds to an event to name its sender, as for messages of WebSocket clients.
  ///
  /// Senders of whole events name the sender themselves.
  func stamp(on event: Event) -> [Event.Field] {
    guard let user, event["user"] == nil else { return [] }
    return [Event.Field("user", .json(.string(user)))]
  }
}
