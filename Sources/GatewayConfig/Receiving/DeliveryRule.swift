/// An entry of `deliver:`: who of a route's clients gets the events of one type, and how.
package struct DeliveryRule: Sendable, Hashable {
  package enum Recipients: Sendable, Hashable {
    case all
    /// Not the session that has sent the event, nor those whose addresses stand in its field `except`.
    case others
    /// The sessions of this user. The template is filled with fields of the event.
    case user(TextTemplate)
  }

  package struct Closing: Sendable, Hashable {
    package var code: UInt16
    package var reason: String
  }

  package var recipients = Recipients.all
  /// The frame, as it is and not as JSON; nil for what `events` says.
  package var text: TextTemplate?
  /// Closes who gets the event, behind it.
  package var closing: Closing?

  /// The field of an event with the addresses of sessions that do not get it, as Django's `group_send` can have it.
  package static let exceptField = "except"
}
