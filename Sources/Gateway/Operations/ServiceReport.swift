package import Transport

/// What a gateway tells the service manager that has started it, as assignments of `sd_notify(3)`.
package struct ServiceReport: Sendable {
  private let socket: ServiceSocket
  /// How often it has to say that it is alive; nil where nobody wants to know.
  package let watchdog: Duration?

  /// - Parameters:
  ///   - environment: `NOTIFY_SOCKET`; `WATCHDOG_USEC`, in microseconds, and `WATCHDOG_PID`, the process that it is for.
  ///   - process: this one.
  /// - Returns: nil where nobody listens.
  package init?(_ environment: [String: String], process: Int32) {
    guard let socket = environment["NOTIFY_SOCKET"].flatMap(ServiceSocket.init(named:)) else { return nil }
    self.socket = socket
    let isMeant = environment["WATCHDOG_PID"].map { $0 == String(process) } ?? true
    let limit = environment["WATCHDOG_USEC"].flatMap(Int64.init).flatMap { $0 > 0 ? $0 : nil }
    // Half the time, as sd_watchdog_enabled(3) recommends.
    watchdog = isMeant ? limit.map { .microseconds($0) / 2 } : nil
  }

  /// What happens to a gateway.
  package enum News: Sendable, Hashable {
    /// It listens, or goes on after a reload.
    case ready(status: String)
    /// It reads its file again; `since` is when that began. Ends with `ready`.
    case reloading(since: MonotonicTime)
    case stopping(status: String)
    case status(String)
    /// Every reactor turns.
    case alive
  }

  package func tell(_ news: News) {
    socket.tell(Self.assignments(for: news))
  }

  static func assignments(for news: News) -> [String] {
    switch news {
    case .ready(let status): ["READY=1", "STATUS=\(status)"]
    // MONOTONIC_USEC tells a manager that has asked by a signal (`notify-reload`) that this reload is the one it asked for.
    case .reloading(let since):
      ["RELOADING=1", "MONOTONIC_USEC=\(since.nanoseconds / 1000)", "STATUS=reading the configuration again"]
    case .stopping(let status): ["STOPPING=1", "STATUS=\(status)"]
    case .status(let status): ["STATUS=\(status)"]
    case .alive: ["WATCHDOG=1"]
    }
  }
}
