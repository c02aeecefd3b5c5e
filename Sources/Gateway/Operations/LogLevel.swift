package import GatewayConfig
package import Logging
import Synchronization

/// `logging.level`, shared by all that write to one log, so that it can be changed while they do.
package final class LogLevel: Sendable {
  private static let all = Logger.Level.allCases
  /// Its place in `all`.
  private let index: Atomic<Int>

  package init(_ level: Logger.Level) {
    index = Atomic(Self.all.firstIndex(of: level) ?? 0)
  }

  package convenience init(_ level: LoggingConfiguration.Level) {
    self.init(Logger.Level(level))
  }

  package var current: Logger.Level {
    get { Self.all[index.load(ordering: .relaxed)] }
    set { index.store(Self.all.firstIndex(of: newValue) ?? 0, ordering: .relaxed) }
  }
}

extension Logger.Level {
  package init(_ level: LoggingConfiguration.Level) {
    self =
      switch level {
      case .debug: .debug
      case .info: .info
      case .notice: .notice
      case .warning: .warning
      case .error: .error
      }
  }
}
