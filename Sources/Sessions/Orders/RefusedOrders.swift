import Synchronization

/// The routes whose sessions took no order to join or to leave a group, so that the log tells of each once.
final class RefusedOrders: Sendable {
  /// The most routes that are told of until others are served.
  private static let most = 100

  private let routes = Mutex<Set<String>>([])

  func isFirst(of route: String) -> Bool {
    routes.withLock { $0.count < Self.most && $0.insert(route).inserted }
  }

  /// Other routes are served.
  func forget() {
    routes.withLock { $0 = [] }
  }
}
