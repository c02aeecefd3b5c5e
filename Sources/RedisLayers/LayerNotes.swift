import Logging
import Synchronization
import Transport

/// Writes warnings about a layer that could come for every message: one a second of each kind, with a count of the others.
final class LayerNotes: Sendable {
  private let alias: String
  private let log: Logger
  /// By message, of which the program has few.
  private let paces = Mutex<[String: LogPace]>([:])

  init(of alias: String, log: Logger) {
    self.alias = alias
    self.log = log
  }

  func write(_ message: String, _ detail: String) {
    let others = paces.withLock { $0[message, default: LogPace(most: 1)].next() }
    guard let others else { return }
    log.warning("\(message)", metadata: ["layer": "\(alias)", "detail": "\(detail)", "others": "\(others)"])
  }
}
