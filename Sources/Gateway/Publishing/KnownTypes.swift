import ChannelLayers
import Consumers
import GatewayConfig
import Routing

/// The event types that the routes of the configuration deliver, to warn a publisher of a type that none of them knows.
///
/// Such an event is published nevertheless, because another process may know its type.
struct KnownTypes: Sendable {
  /// An event type that no route delivers to the event's group.
  struct Unknown: Sendable, Equatable {
    var type: String
    /// The known type that was probably meant.
    var nearest: String?
  }

  private struct Route: Sendable {
    /// The groups that its clients can join.
    var groups: [GroupPattern]
    var types: [String]
    /// The same in the form in which they are looked up.
    var handlers: Set<String>
  }

  /// The most events of one request that are checked, so that a large request with a wrong type does not take long.
  static let most = 100

  private let routes: [Route]

  /// - Parameter groups: the groups of all routes of one channel layer.
  init(_ groups: [GroupConfiguration]) {
    routes = groups.map { group in
      Route(
        groups: group.ways.map(GroupPattern.init(anyOf:)), types: group.knownTypes,
        handlers: Set(group.knownTypes.map(HandlerName.of)))
    }
  }

  /// - Returns: nil if a route delivers the type to the group, or if no route's clients can join the group.
  func unknown(_ event: Event, to group: String) -> Unknown? {
    let handler = event.handler
    guard !GroupConfiguration.builtInTypes.contains(handler) else { return nil }
    func canJoin(_ route: Route) -> Bool { route.groups.contains { $0.matches(group) } }
    guard !routes.contains(where: { $0.handlers.contains(handler) && canJoin($0) }) else { return nil }
    let types = routes.filter(canJoin).flatMap(\.types)
    return types.isEmpty ? nil : Unknown(type: event.type, nearest: NearestName.of(event.type, in: types))
  }
}
