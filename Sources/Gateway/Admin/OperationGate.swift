import JSON
import Synchronization
import Transport

/// Lets one operation that changes the gateway happen at a time, whoever asks for it: a command or a signal.
final class OperationGate: Sendable {
  /// What is being done.
  struct Operation: Sendable {
    /// `reload`
    var name: String
    var asker: Asker
    /// In words, and on the reactors' clock.
    var began: (text: String, time: MonotonicTime)
  }

  /// Something else is being done.
  struct Busy: Error {
    var operation: Operation
  }

  private let current = Mutex<Operation?>(nil)

  /// Nil while nothing is being done.
  var operation: Operation? { current.withLock { $0 } }

  /// Does something that nothing else may be done beside.
  func perform<Result>(
    _ name: String, for asker: Asker, _ body: () async -> Result
  ) async throws(Busy) -> Result {
    try begin(name, for: asker)
    defer { end() }
    return await body()
  }

  /// Returns once nothing is being done.
  func wait() async {
    while operation != nil, !Task.isCancelled { try? await Task.sleep(for: .milliseconds(50)) }
  }

  private func begin(_ name: String, for asker: Asker) throws(Busy) {
    let operation = Operation(name: name, asker: asker, began: (WallClock.timestamp(), .now))
    let other = current.withLock { current in
      defer { current = current ?? operation }
      return current
    }
    if let other { throw Busy(operation: other) }
  }

  private func end() {
    current.withLock { $0 = nil }
  }
}

extension OperationGate.Operation {
  /// `a reload has been under way for 2s, since 2026-11-30T02:00:00.000Z; uid 0, pid 4242 asked for it`
  var sentence: String {
    let seconds = Int(MonotonicTime.now.since(began.time) / .seconds(1))
    return
      "\(Self.article(for: name)) \(name) has been under way for \(seconds)s, since \(began.text); \(asker) asked for it"
  }

  private static func article(for name: String) -> String { name.hasPrefix("u") ? "an" : "a" }

  var json: JSON {
    ["name": .string(name), "since": .string(began.text), "asked_by": asker.json]
  }
}
