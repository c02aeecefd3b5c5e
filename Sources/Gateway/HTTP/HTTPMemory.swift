import GatewayConfig
import Transport

/// The memory that all HTTP clients together can use (`limits.body_memory`), in parts that cannot take from each other: one for
/// each kind of caller of the publish API, and one for requests that are sent ahead.
struct HTTPMemory: Sendable {
  /// For bytes that were read from connections and wait for the answer to an earlier request.
  let ahead: MemoryBudget
  private let bodies: [MemoryBudget]

  /// - Parameters:
  ///   - total: in bytes.
  ///   - largestBody: the largest allowed body of a request, in bytes. Each part has room for two of them, however small the
  ///     total.
  init(total: Int, largestBody: Int = 0) {
    let part = total / (PublishLane.allCases.count + 1)
    ahead = MemoryBudget(total: part)
    bodies = PublishLane.allCases.map { _ in MemoryBudget(total: max(part, largestBody * 2)) }
  }

  init(_ configuration: Configuration, of memory: MemoryLimit) {
    let bodies = configuration.served.httpRoutes.map { route in
      if case .publish(let publish) = route.action { publish.body.bytes } else { 0 }
    }
    // Unless the file says, an eighth of the process's memory.
    let total = configuration.server.bodyMemory?.bytes ?? memory.bytes / 8
    self.init(total: total, largestBody: bodies.max() ?? 0)
  }

  /// The memory for the bodies of one lane's requests while they are read and carried out.
  func bodies(of lane: PublishLane) -> MemoryBudget { bodies[lane.rawValue] }
}
