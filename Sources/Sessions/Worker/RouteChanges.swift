import GatewayConfig
import Transport

/// The routes that clients of one worker are brought to, and what that means for each route that they come from. Confined to the
/// reactor.
package final class RouteChanges {
  let routes: LiveRoutes
  /// Most pairs are those of a route and its successor.
  private var known: [Pair: RouteChange] = [:]
  /// So that no other route can have the identity of one in `known`.
  private var kept: [any LiveRoute] = []

  private struct Pair: Hashable {
    var old: ObjectIdentifier
    var new: ObjectIdentifier?
  }

  init(to routes: LiveRoutes) {
    self.routes = routes
  }

  /// Lets go of the routes that clients have come from.
  func forget() {
    known = [:]
    kept = []
  }

  func change<Route: LiveRoute>(from old: Route, to new: Route?) -> RouteChange {
    let pair = Pair(old: ObjectIdentifier(old), new: new.map(ObjectIdentifier.init))
    if let change = known[pair] { return change }
    let change = RouteChange(from: old.meaning, to: new?.meaning)
    known[pair] = change
    kept.append(old)
    return change
  }
}
