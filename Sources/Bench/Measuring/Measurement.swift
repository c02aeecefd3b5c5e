/// The result of a run.
package struct Measurement: Sendable {
  package struct Server: Sendable, Equatable {
    /// Share of one processor, in per cent.
    package var processor: Double
    package var microsecondsPerOperation: Double?
    package var residentBefore: Int
    package var residentAfter: Int
    package var bytesPerConnection: Double
  }

  package var url: String
  package var load: Load
  package var opened: Int
  /// The time until all connections were open; nil if connections are opened again and again.
  package var opening: Duration?
  /// The measured time.
  package var seconds: Double
  package var tally: Tally
  package var server: Server?
  /// Per cent of a processor that the busiest reactor of the load generator used, and per cent of the time that it waited for a
  /// processor.
  package var generator: (used: Double, waited: Double)
  /// Requests that were not answered in the end.
  package var unanswered: UInt64 = 0
  /// The first thing that went wrong.
  package var problem: String?
  package var isInterrupted: Bool

  /// From this load on, the load generator may be what limits the figures.
  private static let busyFrom = 90.0

  var perSecond: Double {
    if load.work == .idle { return openedPerSecond ?? 0 }
    return perSecond(tally.main.operations)
  }

  /// Connections that were opened, while all of them were.
  var openedPerSecond: Double? { opening.map { Double(opened) / max($0.inSeconds, 1e-9) } }
  var publishedPerSecond: Double { perSecond(tally.published) }

  func perSecond(_ count: UInt64) -> Double { seconds > 0 ? Double(count) / seconds : 0 }

  /// Deliveries of what was published from the first message to the last.
  package var expected: UInt64 { tally.publishedInAll * UInt64(load.receivers) }
  package var lost: UInt64 { expected - min(expected, tally.delivered) }

  package var refused: UInt64 { tally.refused.values.reduce(0, +) }

  /// Whether nothing came of a load that never pauses.
  var isSilent: Bool {
    load.pace == nil && load.work != .idle && tally.main.operations == 0 && !isInterrupted
  }

  /// Whether all requests were answered and accepted, and all expected messages arrived.
  package var isGood: Bool {
    guard !isSilent else { return false }
    let faults = tally.failed + tally.lost + tally.wrong + lost + tally.duplicated + tally.late
    return faults + refused + unanswered == 0
  }

  package var isGeneratorBusy: Bool { generator.used + generator.waited > Self.busyFrom }
}

extension Measurement {
  init(
    plan: Plan, reports: [CrewReport], opened: Int, opening: Duration, problem: String?, isInterrupted: Bool,
    server: (first: ServerProcess?, before: ServerProcess?, after: ServerProcess?)
  ) {
    var tally = Tally()
    for report in reports { tally.add(report.tally) }
    url = plan.main.target.url
    load = plan.load
    self.opened = opened
    self.opening = plan.load.work == .connect ? nil : opening
    self.problem = problem
    self.isInterrupted = isInterrupted
    self.tally = tally
    seconds = reports.map(\.measured.inSeconds).max() ?? 0
    let shares = reports.filter { $0.measured > .zero }.map {
      (used: $0.thread.used / $0.measured * 100, waited: $0.thread.waited / $0.measured * 100)
    }
    generator = shares.max { $0.used + $0.waited < $1.used + $1.waited } ?? (0, 0)
    if let first = server.first, let before = server.before, let after = server.after {
      self.server = Server(first, before, after, self)
    }
  }
}

extension Measurement.Server {
  fileprivate init(
    _ first: ServerProcess, _ before: ServerProcess, _ after: ServerProcess, _ measurement: Measurement
  ) {
    let used = (after.processorTime - before.processorTime).inSeconds
    processor = measurement.seconds > 0 ? used / measurement.seconds * 100 : 0
    let operations = Double(measurement.tally.main.operations)
    microsecondsPerOperation =
      measurement.load.work == .idle || operations == 0 ? nil : used * 1e6 / operations
    residentBefore = first.residentBytes
    residentAfter = after.residentBytes
    bytesPerConnection = Double(residentAfter - residentBefore) / Double(max(1, measurement.opened))
  }
}

extension Duration {
  var inSeconds: Double { self / .seconds(1) }
}
