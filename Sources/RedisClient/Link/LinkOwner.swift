/// Owns links to Redis, with work that is done over them, from its start to its stop: it keeps the links, does the work, and gives a
/// sign of life at every beat.
package protocol LinkOwner: Actor {
  var life: RedisLife { get }
  /// The time between two beats.
  static var beat: Duration { get }

  /// Keeps the links. Ends when they are closed.
  func keepConnections() async
  /// Ends when the queues of requests are finished.
  func work() async
  /// Called at every beat, with its number. One that takes long delays the next.
  func tend(beat: Int) async
  /// Finishes the queues of requests.
  func finish()
  /// Removes the entries of this process from Redis, after all work is done.
  func withdraw() async
  func closeConnections()
}

/// How far an owner of links is between its start and its stop. Confined to the owner.
package final class RedisLife {
  package fileprivate(set) var isStopping = false
  fileprivate let clock: RedisClock
  // Tasks and no group: a stop cancels two of them, while the third finishes its work. `run` waits for all.
  fileprivate var keeping: Task<Void, Never>?
  fileprivate var working: Task<Void, Never>?
  fileprivate var beating: Task<Void, Never>?

  package init(clock: RedisClock = .system) {
    self.clock = clock
  }
}

extension LinkOwner {
  package var isStopping: Bool { life.isStopping }

  /// Runs until `stop`.
  package func run() async {
    guard !isStopping else { return }
    life.keeping = Task { await keepConnections() }
    life.working = Task { await work() }
    life.beating = Task { await tendAtEveryBeat() }
    await life.keeping?.value
    await life.working?.value
    await life.beating?.value
  }

  private func tendAtEveryBeat() async {
    var count = 0
    while !isStopping {
      try? await life.clock.sleep(Self.beat)
      guard !isStopping else { return }
      count += 1
      await tend(beat: count)
    }
  }

  /// Finishes the work, removes the entries of this process from Redis, and ends `run`. Waits and attempts to connect end at once;
  /// requests that are under way continue.
  ///
  /// - Parameter time: how long Redis may take. After it, the links are closed, and another process removes the rest later.
  package func stop(within time: Duration) async {
    guard !isStopping else { return }
    life.isStopping = true
    // It ends with this function.
    let deadline = Task { [clock = life.clock] in
      guard (try? await clock.sleep(time)) != nil else { return }
      closeConnections()
    }
    life.keeping?.cancel()
    life.beating?.cancel()
    finish()
    await life.working?.value
    await life.beating?.value
    await withdraw()
    deadline.cancel()
    closeConnections()
  }
}
