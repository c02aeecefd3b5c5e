package import ChannelLayers
package import GatewayConfig
import Routing

/// Who may read the kept events of a group without a session in it.
///
/// A session reads what its own route shows it. A reader belongs to none of the routes whose clients the group has, so the rules in `deliver`
/// of all of them hold: what one of them keeps for a user is for nobody else.
package struct HistoryReaders: Sendable {
  private struct Route: Sendable {
    /// The groups that its clients can join.
    var groups: [GroupPattern]
    var events: RouteEvents
  }

  /// Those that choose who gets an event.
  private var routes: [Route]

  /// - Parameter groups: those of all routes on one channel layer.
  package init(_ groups: [GroupConfiguration]) {
    routes = groups.compactMap { group in
      // What does not fit is reported where it is delivered.
      let events = RouteEvents(group, report: nil)
      return events.selects ? Route(groups: group.ways.map(GroupPattern.init(anyOf:)), events: events) : nil
    }
  }

  /// The same for events of this group.
  package func of(_ group: String) -> HistoryReaders {
    var readers = self
    readers.routes.removeAll { route in !route.groups.contains { $0.matches(group) } }
    return readers
  }

  /// Whether an event of the group is for a user; nil for somebody without a name.
  ///
  /// Addresses say nothing here: they are of sessions, and who comes back with a new one is shown the event as well.
  package func include(_ user: String?, for event: Event) -> Bool {
    let own = event.ownRecipients
    return Self.isMeant(user, by: own)
      && routes.allSatisfy { Self.isMeant(user, by: $0.events.recipients(of: event, own: own)) }
  }

  /// - Parameter recipients: nil for nobody.
  private static func isMeant(_ user: String?, by recipients: EventRecipients?) -> Bool {
    guard let recipients, recipients.fault == nil else { return false }
    return recipients.user.map { $0 == user } ?? true
  }
}
