import Logging
import Synchronization
import Transport

/// Writes warnings about a layer that could come for every message: one a second of each kind, with a count of the others.
final class LayerNotes: Sendable {
  private let alias: String
  private let log: Logger
  private let paces = Mutex(LogPaces())

  init(of alias: String, log: Logger) {
    self.alias = alias
    self.log = log
  }

  func write(_ message: String, _ detail: String) {
    guard let others = paces.withLock({ $0.next(message) }) else { return }
    log.warning("\(message)", metadata: ["layer": "\(alias)", "detail": "\(detail)", "others": "\(others)"])
  }
}
