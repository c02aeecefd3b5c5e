/// The result of a run.
package struct Measurement: Sendable {
  package struct FanOut: Sendable, Equatable {
    package var publishedPerSecond: Double
    /// From the first message to the last.
    package var published: UInt64
    package var expected: UInt64
    package var lost: UInt64
    package var duplicated: UInt64
    package var late: UInt64
  }

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
  package var failed: UInt64
  package var lostConnections: UInt64
  /// The measured time.
  package var seconds: Double
  package var tally: Tally
  package var fanOut: FanOut?
  package var server: Server?
  /// Per cent of a processor that the busiest reactor of the load generator used, and per cent of the time that it waited for a
  /// processor.
  package var generator: (used: Double, waited: Double)
  /// The first thing that went wrong.
  package var problem: String?
  package var isInterrupted: Bool

  /// From this load on, the load generator may be what limits the figures.
  private static let busyFrom = 90.0

  package var perSecond: Double {
    if load.work == .idle { return Double(opened) / max(opening?.inSeconds ?? 0, 1e-9) }
    return seconds > 0 ? Double(tally.operations) / seconds : 0
  }

  package var bytesPerSecond: Double { seconds > 0 ? Double(tally.bytes) / seconds : 0 }

  /// Whether all expected messages arrived.
  package var isGood: Bool {
    failed == 0 && lostConnections == 0 && tally.wrong == 0
      && (fanOut.map { $0.lost + $0.duplicated + $0.late == 0 } ?? true)
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
    url = plan.target.url
    load = plan.load
    self.opened = opened
    self.opening = plan.load.work == .connect ? nil : opening
    self.problem = problem
    self.isInterrupted = isInterrupted
    self.tally = tally
    failed = tally.failed
    lostConnections = tally.lost
    seconds = reports.map(\.measured.inSeconds).max() ?? 0
    let shares = reports.filter { $0.measured > .zero }.map {
      (used: $0.thread.used / $0.measured * 100, waited: $0.thread.waited / $0.measured * 100)
    }
    generator = shares.max { $0.used + $0.waited < $1.used + $1.waited } ?? (0, 0)
    if plan.load.publishers > 0 { fanOut = FanOut(tally, plan.load, seconds) }
    if let first = server.first, let before = server.before, let after = server.after {
      self.server = Server(first, before, after, self)
    }
  }
}

extension Measurement.FanOut {
  init(_ tally: Tally, _ load: Load, _ seconds: Double) {
    publishedPerSecond = seconds > 0 ? Double(tally.published) / seconds : 0
    published = tally.publishedInAll
    expected = published * UInt64(load.connections)
    lost = expected - min(expected, tally.delivered)
    duplicated = tally.duplicated
    late = tally.late
  }
}

extension Measurement.Server {
  fileprivate init(
    _ first: ServerProcess, _ before: ServerProcess, _ after: ServerProcess, _ measurement: Measurement
  ) {
    let used = (after.processorTime - before.processorTime).inSeconds
    processor = measurement.seconds > 0 ? used / measurement.seconds * 100 : 0
    let operations = Double(measurement.tally.operations)
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
