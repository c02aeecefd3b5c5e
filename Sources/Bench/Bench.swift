import Transport

/// Puts a load on a server and measures it.
///
/// The connections are on separate reactors, with a crew of clients on each. This type controls the stages of the run.
package struct Bench: Sendable {
  /// The current stage of a run, reported once a second.
  package enum Stage: Sendable, Equatable {
    case opening(Int, of: Int)
    case warmingUp(perSecond: Int)
    case measuring(second: Int, perSecond: Int)
    case waitingForLateOnes(Int)
  }

  private struct Hand: Sendable {
    var thread: ReactorThread
    var orders: Mailbox<Crew.Order>
    var progress: Progress
  }

  private let plan: Plan
  private let hands: [Hand]
  private let serverBefore: ServerProcess?
  private let told: @Sendable (Stage) -> Void

  /// Time for a server that joins a group after the handshake, before the first message.
  private static let settling = Duration.milliseconds(200)
  private static let glance = Duration.milliseconds(5)
  private static let second = Duration.seconds(1)
  /// Time for messages that are still under way when the measured time is over.
  private static let lateness = Duration.seconds(3)
  private static let closing = Duration.seconds(2)
  /// Descriptors that are not for connections.
  private static let reserve = 64

  /// Runs the load. If it is cancelled, it ends early, and returns the measurement until then.
  ///
  /// - Parameter told: called with the stages of the run.
  package static func run(
    _ load: Load, against target: Target, _ told: @escaping @Sendable (Stage) -> Void = { _ in }
  ) async throws -> Measurement {
    if let fault = load.fault { throw BenchFailure(fault) }
    let needed = load.opened + load.publishers + reserve
    let limit = DescriptorLimit.raise().descriptors
    guard needed <= limit else {
      throw BenchFailure(
        "the load needs \(needed) file descriptors, and this process may open \(limit): raise the limit (ulimit -n)"
      )
    }
    let bench = try Bench(load, target, told)
    defer { bench.stop() }
    return try await bench.run()
  }

  private init(_ load: Load, _ target: Target, _ told: @escaping @Sendable (Stage) -> Void) throws {
    self.told = told
    serverBefore = try load.server.map { (process) throws(BenchFailure) in try ServerProcess.read(process) }
    do {
      var plan = try Plan(load, against: target)
      hands = try Self.hire(&plan)
      self.plan = plan
    } catch let failure as TransportFailure {
      throw BenchFailure("the load generator cannot start: \(failure)")
    }
  }

  /// The crew of the publishers comes first, because the others need its mailbox.
  private static func hire(_ plan: inout Plan) throws -> [Hand] {
    var hands: [Hand] = []
    for index in (0..<plan.crews).reversed() {
      let progress = Progress()
      let started = try Reactor.start(name: "bench-\(index)") { [plan] reactor in
        let crew = Crew(plan, index: index, progress: progress, on: reactor)
        return reactor.mailbox { crew.carryOut($0) }
      }
      hands.append(Hand(thread: started.thread, orders: started.result, progress: progress))
      if index == plan.publishingCrew, plan.load.pace != nil { plan.publishers = started.result }
    }
    return hands
  }

  private func stop() {
    for hand in hands { hand.thread.stop() }
    for hand in hands { hand.thread.join() }
  }
}

// MARK: - The course of a run

extension Bench {
  private func run() async throws -> Measurement {
    let start = MonotonicTime.now
    try await open()
    let opening = MonotonicTime.now.since(start)
    if plan.load.publishers > 0 { try await Task.sleep(for: Self.settling) }
    let ticker = try await begin()
    defer {
      ticker?.stop()
      ticker?.join()
    }
    var isInterrupted = false
    let server: (before: ServerProcess?, after: ServerProcess?)
    do {
      try await pass(plan.load.warmUp) { told(.warmingUp(perSecond: $1)) }
    } catch is CancellationError {
      throw BenchFailure("the run was stopped before anything was measured")
    }
    server.before = readServer()
    order(.measure)
    do {
      try await pass(plan.load.duration) { told(.measuring(second: $0, perSecond: $1)) }
    } catch is CancellationError {
      isInterrupted = true
    }
    order(.halt)
    server.after = readServer()
    // The answer shows that the crew has handled the halt. A publisher may have sent one more message before it.
    _ = await reports()
    if !isInterrupted { try? await waitForLateOnes() }
    let reports = await reports()
    // A server may accept every connection and say only then that it refuses it, while the run has begun.
    guard opened > 0 else { throw failureToOpen(plan.receiving) }
    // The counts are read before the end, which may break connections.
    var measurement = Measurement(
      plan: plan, reports: reports, opened: opened, opening: opening, problem: problem,
      isInterrupted: isInterrupted, server: (serverBefore, server.before, server.after))
    if !isInterrupted { measurement.unanswered = UInt64(max(0, awaited)) }
    order(.close)
    await waitForTheEnd()
    return measurement
  }

  private func open() async throws {
    order(.openConnections)
    if plan.load.opened > 0 {
      try await waitUntilOpen(
        plan.load.work == .connect ? 1 : plan.load.opened, at: plan.receiving, since: (0, 0))
    }
    guard plan.load.publishers > 0 else { return }
    // All subscribers are open before the publishers.
    let before = (opened: opened, failed: failed)
    if let publishers = plan.publishers { publishers.post(.openPublishers) } else { order(.openPublishers) }
    try await waitUntilOpen(plan.load.opened + plan.load.publishers, at: plan.publishing, since: before)
  }

  /// - Parameters:
  ///   - place: where connections are being opened; one of them has to be.
  ///   - before: how many others there were before.
  private func waitUntilOpen(
    _ count: Int, at place: Destination, since before: (opened: Int, failed: Int)
  ) async throws {
    let deadline = MonotonicTime.now + plan.load.openTimeout
    var next = MonotonicTime.now + Self.second
    while opened + failed < count {
      try await Task.sleep(for: Self.glance)
      if opened == before.opened, failed > before.failed { break }
      let now = MonotonicTime.now
      if now >= next {
        told(.opening(opened, of: count))
        next = next + Self.second
      }
      guard now < deadline else {
        order(.giveUpOpening)
        try await Task.sleep(for: Self.glance * 4)
        break
      }
    }
    guard opened > before.opened else { throw failureToOpen(place) }
  }

  private func failureToOpen(_ place: Destination) -> BenchFailure {
    BenchFailure("\(place.target.url): \(problem ?? "no connection was opened")")
  }

  /// - Returns: the thread that makes publishers send at a rate; nil without one.
  private func begin() async throws -> ReactorThread? {
    order(.listen)
    // The answer shows that all receivers count what they get.
    _ = await reports()
    // The publishers begin last, when all subscribers are ready.
    for hand in hands.reversed() {
      await withCheckedContinuation { done in
        if !hand.orders.post(.begin { done.resume() }) { done.resume() }
      }
    }
    guard let pace = plan.load.pace, let publishers = plan.publishers else { return nil }
    return try Ticker.start(every: Publishing.interval(pace), to: publishers, .publish)
  }

  /// Waits, and reports once a second. Ends early if no connection is left.
  private func pass(_ duration: Duration, _ tell: (_ second: Int, _ perSecond: Int) -> Void) async throws {
    let end = MonotonicTime.now + duration
    var before = operations
    var second = 0
    while MonotonicTime.now < end, isAnybodyLeft {
      let left = end.since(.now)
      try await Task.sleep(for: min(left, Self.second))
      second += 1
      let after = operations
      if left >= Self.second { tell(second, after - before) }
      before = after
    }
  }

  private func waitForLateOnes() async throws {
    guard plan.load.publishers > 0 else { return }
    let deadline = MonotonicTime.now + Self.lateness
    while missing > 0 || awaited > 0, MonotonicTime.now < deadline, isAnybodyLeft {
      try await Task.sleep(for: Self.glance)
    }
    if missing > 0 { told(.waitingForLateOnes(missing)) }
  }

  private func waitForTheEnd() async {
    let deadline = MonotonicTime.now + Self.closing
    // A cancelled run does not wait.
    while active > 0, MonotonicTime.now < deadline {
      guard (try? await Task.sleep(for: Self.glance)) != nil else { return }
    }
  }
}

// MARK: - The crews

extension Bench {
  private func order(_ order: Crew.Order) {
    for hand in hands { hand.orders.post(order) }
  }

  private func reports() async -> [CrewReport] {
    var reports: [CrewReport] = []
    for hand in hands {
      let report = await withCheckedContinuation { done in
        // The reactors are still running, because they end only after the run.
        hand.orders.post(.report { done.resume(returning: $0) })
      }
      reports.append(report)
    }
    return reports
  }

  private func sum(_ count: (Progress) -> Int) -> Int {
    hands.reduce(0) { $0 + count($1.progress) }
  }

  private var opened: Int { sum { $0.opened.value } }
  private var failed: Int { sum { $0.failed.value } }
  private var active: Int { sum { $0.active.value } }
  private var operations: Int { sum { $0.operations.value } }
  private var problem: String? { hands.lazy.compactMap { $0.progress.firstProblem }.first }

  private var awaited: Int { sum { $0.awaited.value } }

  /// Deliveries that have not arrived yet.
  private var missing: Int { sum { $0.published.value } * plan.load.receivers - sum { $0.delivered.value } }

  private var isAnybodyLeft: Bool {
    plan.load.work == .connect ? failed < plan.load.connections : active > 0
  }

  private func readServer() -> ServerProcess? {
    // The server may have died under the load, which the connections report.
    plan.load.server.flatMap { try? ServerProcess.read($0) }
  }
}
