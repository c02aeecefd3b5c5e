import ChannelLayers
import GatewayConfig
import Glibc
import Logging
import Sessions
import Synchronization
import Transport
import WebSocketCore

// In the program that gives its place to another one: everything holds still, is written down, and the other program is executed.

extension GatewayServer {
  /// Has everything written that was logged until now, while everybody is served. A log that nobody reads is given up then.
  private func writeLog(_ order: UpgradeOrder) async {
    let end = MonotonicTime.now + Self.longestLogging
    while !order.writeLog(.zero), MonotonicTime.now < end, !isStopping {
      try? await Task.sleep(for: .milliseconds(5))
    }
  }

  private static let longestLogging = Duration.seconds(1)
  /// How long the last lines may take, which come while nobody is served.
  private static let lastLogging = Duration.milliseconds(20)

  /// - Parameter time: how long the new program takes until it serves.
  /// - Returns: why it was not executed.
  func executeDrained(
    _ program: ProgramFile, _ order: UpgradeOrder, _ parts: RunningParts, _ rounds: WorkerRounds,
    startingTakes time: Duration
  ) async -> UpgradeRefusal {
    // A slow server gets time while sessions go on as ever. Most of it while new ones come in, too: they wait for the rest.
    let begin = MonotonicTime.now
    await gateway.layers.settleOutgoing(within: Self.longestSettling, unless: hasStopBegun)
    let left = max(.zero, Self.longestSettling - MonotonicTime.now.since(begin))
    await writeLog(order)
    // Nothing is held yet.
    guard !isStopping else { return .stopping }
    let end = MonotonicTime.now + Self.longestDrain
    await drain(parts, rounds)
    _ = await rounds.each { $0.sessions.closeLate() }
    await gateway.layers.settleOutgoing(
      within: min(left, max(.zero, end.since(.now))), unless: hasStopBegun)
    let commands = commands.withLock(\.self)
    await commands?.pause()
    await gateway.layers.pause()
    let refusal = await exclusively { [self] isStopping in
      guard !isStopping else {
        _ = await rounds.each { $0.sessions.holdViews(false) }
        await gateway.layers.goOn()
        return .stopping
      }
      guard !graceEnd.isSet else {
        // It serves until the delay of the stop is over.
        await goOn(parts, rounds)
        return .stopping
      }
      let short = UpgradeMemory(of: self).refusal(of: .record)
      let refusal =
        if let short { short } else { await execute(program, order, parts, rounds, startingTakes: time) }
      await goOn(parts, rounds)
      return refusal
    }
    await commands?.goOn()
    return refusal
  }

  /// For those who wait elsewhere: a stop ends an upgrade.
  var hasStopBegun: @Sendable () -> Bool { { [graceEnd] in graceEnd.isSet } }

  /// - Parameter work: no stop begins during it; told whether one has.
  private func exclusively(
    _ work: @escaping @Sendable (_ isStopping: Bool) async -> UpgradeRefusal
  ) async -> UpgradeRefusal {
    await withCheckedContinuation { continuation in
      let event = LifecycleEvent.exclusively { continuation.resume(returning: await work($0)) }
      guard case .terminated = lifecycle.yield(event) else { return }
      // A stop is over already.
      Task { continuation.resume(returning: await work(true)) }
    }
  }

  private func execute(
    _ program: ProgramFile, _ order: UpgradeOrder, _ parts: RunningParts, _ rounds: WorkerRounds,
    startingTakes time: Duration
  ) async -> UpgradeRefusal {
    // For all attempts together: nobody is served meanwhile.
    let end = ContinuousClock.now + Self.lastSettling
    var (workers, layers) = await stillParts(rounds, settledBy: end)
    for _ in 0..<Self.triesForAnswers where workers.contains(where: { $0.left > 0 }) {
      // What some sessions wait for may come in a moment.
      _ = await rounds.each { $0.reactor.stir() }
      try? await Task.sleep(for: .milliseconds(50))
      (workers, layers) = await stillParts(rounds, settledBy: end)
    }
    var done: [String] = []
    if workers.contains(where: { $0.left > 0 }) {
      await closeLeft(workers, rounds, startingTakes: time, &done)
      (workers, layers) = await stillParts(rounds, settledBy: end)
    }
    var refusal = await execute(program, order, parts, &workers, layers)
    refusal.done = done
    return refusal
  }

  /// Closes those who still wait for something: nobody would answer them any more.
  private func closeLeft(
    _ workers: [WorkerPart], _ rounds: WorkerRounds, startingTakes time: Duration, _ done: inout [String]
  ) async {
    let code = CloseCode(rawValue: configuration.shutdown.code)
    let plan = ClosePlan(
      closing: workers.reduce(0) { $0 + $1.left }, within: .zero, next: .after(time),
      handshakes: configuration.server.handshakes)
    let closed = await rounds.each { worker in
      worker.reactor.stir()
      return worker.sessions.closeLeft(code, by: plan)
    }.reduce(0, +)
    guard closed > 0 else { return }
    log.warning(
      "sessions are closed by the upgrade: what they wait for has not come in time",
      metadata: [
        "count": .number(closed), "code": "\(code.rawValue)",
        "hint":
          "they wait for an answer of their view, or for the first token of their client; they are told to come back",
      ])
    done.append("\(closed) sessions were closed that still waited for something")
  }

  /// - Parameter workers: are without their records then.
  private func execute(
    _ program: ProgramFile, _ order: UpgradeOrder, _ parts: RunningParts, _ workers: inout [WorkerPart],
    _ layers: [LayerState]
  ) async -> UpgradeRefusal {
    if let alias = await gateway.layers.unsettled(of: gateway.process.layers) {
      return UpgradeRefusal(
        "the server of channel layer \"\(alias)\" has not taken within \(Self.lastSettling.written) what was published here, and it would be lost: is it slow, or away?"
      )
    }
    do {
      let descriptors = workers.flatMap(\.descriptors) + layers.flatMap(\.receivers.values).map(\.descriptor)
      let record = try file(&workers, layers, order, parts)
      tellOfForgotten(workers)
      return execute(program, order, record, descriptors)
    } catch {
      return UpgradeRefusal("the sessions could not be written: \(error)")
    }
  }

  private static let triesForAnswers = 20
  /// How long what was published here may take to be sent while sessions go on, and how long while nobody is served.
  private static let longestSettling = Duration.seconds(5)
  private static let lastSettling = Duration.seconds(3)

  /// Says what the other program will not know of.
  private func tellOfForgotten(_ workers: [WorkerPart]) {
    let left = workers.reduce(0) { $0 + $1.left }
    if left > 0 {
      log.warning(
        "sessions are cut off by the upgrade: they could be neither handed over nor closed in time",
        metadata: ["count": .number(left)])
    }
    let untold = workers.reduce(0) { $0 + $1.unreportedEnds }
    guard untold > 0 else { return }
    log.warning(
      "views are not told the ends of sessions: they have not answered in time, and the other program does not know of these",
      metadata: [
        "count": .number(untold),
        "hint": "use a channel layer in Redis, where ends are kept until they are told",
      ])
  }

  /// What all workers have once they hold still, and nothing is on the way from one to another.
  private func stillParts(
    _ rounds: WorkerRounds, settledBy end: ContinuousClock.Instant
  ) async -> (workers: [WorkerPart], layers: [LayerState]) {
    _ = await rounds.each { worker, done in
      worker.reactor.holdStill()
      worker.reactor.whenQuiet { done(true) }
    }
    gateway.layers.tellAll()
    _ = await quiet(rounds)
    let layers = await gateway.layers.states(of: gateway.process.layers, heldBy: end)
    _ = await quiet(rounds)
    let workers: [WorkerPart] = await rounds.each { worker, done in
      worker.reactor.whenQuiet {
        let part = worker.sessions.handedPart()
        // What a layer posts from here on is not in the part: its members get it in the new program.
        worker.reactor.fallSilent()
        done(part)
      }
    }
    return (workers, layers)
  }

  private func quiet(_ rounds: WorkerRounds) async -> [Bool] {
    await rounds.each { worker, done in worker.reactor.whenQuiet { done(true) } }
  }

  private func execute(
    _ program: ProgramFile, _ order: UpgradeOrder, _ record: MemoryFile, _ descriptors: [Int32]
  ) -> UpgradeRefusal {
    let inherited =
      descriptors + inheritableListeners.map(\.descriptor) + commandSockets.map(\.descriptor)
      + [record.rawValue]
    _ = order.writeLog(Self.lastLogging)
    return order.holdingSignals { [self] in
      // A stop that was asked for before is known by now. Signals that come from here on wait for the program, also those that would end a
      // process.
      var (all, before) = (sigset_t(), sigset_t())
      unsafe sigfillset(&all)
      unsafe pthread_sigmask(SIG_SETMASK, &all, &before)
      defer { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }
      guard !graceEnd.isSet else { return UpgradeRefusal.stopping }
      // Nobody keeps others from writing to it between the trial and the execution.
      guard !program.isChanged else {
        return UpgradeRefusal(
          "the file of the new program was changed after it was tried: put a new file in its place instead, as mv does, and ask again"
        )
      }
      Descriptor.inherit(only: inherited)
      defer { for descriptor in inherited { Descriptor.setInherited(descriptor, false) } }
      let code = program.execute(
        order.arguments, environment: order.environment + ["\(order.variable)=\(record.rawValue)"])
      return UpgradeRefusal("the program could not be executed: \(TransportFailure.text(code))")
    }
  }
}
