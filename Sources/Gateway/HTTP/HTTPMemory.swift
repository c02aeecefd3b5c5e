import GatewayConfig
import Transport

/// The memory that HTTP clients together can make the process hold (`limits.body_memory`), in parts that cannot take from each
/// other: a part for each kind of caller of the publish API, and one for requests that are sent ahead.
struct HTTPMemory: Sendable {
  /// What was read from connections and waits for the answer to the request before it.
  let ahead: MemoryBudget
  private let bodies: [MemoryBudget]

  /// - Parameters:
  ///   - total: in bytes.
  ///   - largestBody: what the body of one request may have, in bytes; each part has room for two of them, however small the total.
  init(total: Int, largestBody: Int = 0) {
    let part = total / (PublishLane.allCases.count + 1)
    ahead = MemoryBudget(total: part)
    bodies = PublishLane.allCases.map { _ in MemoryBudget(total: max(part, largestBody * 2)) }
  }

  /// - Parameter memory: what the process may have.
  init(_ configuration: Configuration, of memory: MemoryLimit) {
    let bodies = configuration.served.httpRoutes.map { route in
      if case .publish(let publish) = route.action { publish.body.bytes } else { 0 }
    }
    let total = configuration.server.bodyMemory?.bytes ?? memory.bytes / Self.partOfProcess
    self.init(total: total, largestBody: bodies.max() ?? 0)
  }

  /// Where the file does not say, this part of what the process may have.
  private static let partOfProcess = 8

  /// What the bodies of requests of one lane take up while they are read and carried out.
  func bodies(of lane: PublishLane) -> MemoryBudget { bodies[lane.rawValue] }
}
