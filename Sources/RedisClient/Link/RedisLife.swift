/// The tasks of a client of Redis from its start to its stop: it keeps its links, does its work, and gives a sign of life at every
/// beat.
///
/// Confined to the actor that owns it.
package final class RedisLife {
  package private(set) var isStopping = false
  private let clock: RedisClock
  // Tasks and no group: a stop cancels two of them, while the third finishes its work. `run` waits for all.
  private var keeping: Task<Void, Never>?
  private var working: Task<Void, Never>?
  private var beating: Task<Void, Never>?

  package init(clock: RedisClock = .system) {
    self.clock = clock
  }

  /// Runs the three tasks until they have ended, which `stop` makes them do.
  ///
  /// - Parameters:
  ///   - keep: keeps the links. It ends when the links are closed.
  ///   - work: ends when the queues of requests are finished.
  ///   - beat: calls `beat(every:_:)`.
  package func run(
    keep: @escaping @Sendable () async -> Void, work: @escaping @Sendable () async -> Void,
    beat: @escaping @Sendable () async -> Void
  ) async {
    guard !isStopping else { return }
    let (keeping, working, beating) = (Task { await keep() }, Task { await work() }, Task { await beat() })
    (self.keeping, self.working, self.beating) = (keeping, working, beating)
    await keeping.value
    await working.value
    await beating.value
  }

  /// Calls `tend` with the number of the beat, until `stop`. A beat that takes long delays the next one.
  package func beat(every interval: Duration, _ tend: (Int) async -> Void) async {
    var count = 0
    while !isStopping {
      try? await clock.sleep(interval)
      guard !isStopping else { return }
      count += 1
      await tend(count)
    }
  }

  /// Ends `run`. Waits and attempts to connect end at once; requests that are under way continue.
  ///
  /// - Parameters:
  ///   - time: how long Redis may take. After it, the links are closed.
  ///   - finish: finishes the queues of requests.
  ///   - farewell: removes the entries of this process from Redis, after all work is done.
  ///   - close: closes the links.
  package func stop(
    within time: Duration, finish: () -> Void, farewell: () async -> Void,
    close: @escaping @Sendable () async -> Void
  ) async {
    guard !isStopping else { return }
    isStopping = true
    // It ends with this function.
    let deadline = Task { [clock] in
      guard (try? await clock.sleep(time)) != nil else { return }
      await close()
    }
    keeping?.cancel()
    beating?.cancel()
    finish()
    await working?.value
    await beating?.value
    await farewell()
    deadline.cancel()
    await close()
  }
}

/// Owns links to Redis, with work that is done over them.
package protocol LinkOwner: Actor {
  var life: RedisLife { get }
  /// The time between two beats.
  static var beat: Duration { get }

  /// Keeps the links until a stop.
  func keepConnections() async
  /// Ends when the queues of requests are finished.
  func work() async
  /// Called at every beat, with its number.
  func tend(beat: Int) async
  /// Finishes the queues of requests.
  func finish()
  /// Removes the entries of this process from Redis, after all work is done.
  func withdraw() async
  func closeConnections()
}

extension LinkOwner {
  package var isStopping: Bool { life.isStopping }

  /// Runs until `stop`.
  package func run() async {
    await life.run(
      keep: { await self.keepConnections() }, work: { await self.work() }, beat: { await self.tick() })
  }

  private func tick() async {
    await life.beat(every: Self.beat) { await tend(beat: $0) }
  }

  /// Finishes the work, removes the entries of this process from Redis, and ends `run`.
  ///
  /// - Parameter time: how long Redis may take. Another process removes the rest later.
  package func stop(within time: Duration) async {
    await life.stop(within: time) {
      finish()
    } farewell: {
      await withdraw()
    } close: {
      await self.closeConnections()
    }
  }
}
