import GatewayConfig
import Logging
import Sessions
import Transport
import WebSocketCore

// In the program that is about to give its place to another one: what cannot be handed over is closed, and what is under way is answered.

extension GatewayServer {
  /// Begins no more sessions that cannot be handed over.
  ///
  /// - Parameter time: how long the new program takes until it serves.
  /// - Returns: how many there are.
  func refuseBound(_ rounds: WorkerRounds, startingTakes time: Duration) async -> Int {
    let all = await rounds.countBound()
    let plan = ClosePlan(
      closing: all, within: configuration.shutdown.grace,
      next: .after(timeUntilServed(startingTakes: time)), answers: Self.timeForAnswers,
      handshakes: configuration.server.handshakes)
    return await rounds.each { $0.refuseBound(plan) }.reduce(0, +)
  }

  /// How long it takes from the last close until the new program serves.
  func timeUntilServed(startingTakes time: Duration) -> Duration {
    let counters = gateway.process.counters
    let others = counters.connections.count > counters.sessions.count
    return Self.timeToAnswer + (others ? Self.lastRequests : .zero) + time
  }

  /// How long clients have to answer their close frames, at most.
  private static let timeForAnswers = Farewell.lingering

  /// Closes the sessions that cannot be handed over, at a pace, and waits for their ends; also for what is on its way to their upstreams,
  /// while everybody else is served.
  func closeBound(_ count: Int, _ rounds: WorkerRounds, _ tls: TLSService) async {
    guard count > 0 else { return }
    let code = CloseCode(rawValue: configuration.shutdown.code)
    log.notice("closing the sessions that cannot be handed over", metadata: ["sessions": .number(count)])
    _ = await rounds.each { $0.closeBound(code) }
    var end: MonotonicTime?
    while !isStopping {
      let progress = await rounds.each { $0.boundProgress }
      guard progress.contains(where: { $0 != .over }) || tls.upstreamCount > 0 else { return }
      if !progress.contains(.closing) {
        let last = end ?? .now + min(Self.timeForAnswers, configuration.shutdown.grace)
        end = last
        if MonotonicTime.now >= last { break }
      }
      try? await Task.sleep(for: .milliseconds(20))
    }
    guard !isStopping else { return }
    // They were told, and have not answered.
    _ = await rounds.each { worker in
      for session in worker.sessions.bound { session.abandon() }
    }
  }

  /// How long requests and handshakes that are under way may take.
  static let longestDrain = Duration.seconds(5)
  /// How long connections without a request are kept for one.
  private static let lastRequests = LastRequests.time(within: longestDrain)
  private static let timeForEnds = Duration.seconds(1)
  /// How long those may take to end who were told to come again.
  private static let timeForRefusals = Duration.milliseconds(500)

  /// Accepts nothing more for now, and has what is under way answered.
  func drain(_ parts: RunningParts, _ rounds: WorkerRounds) async {
    let begin = MonotonicTime.now
    _ = await rounds.each { worker in
      worker.reactor.pauseListening()
      worker.sessions.holdViews(true)
      worker.plain?.stop(within: Self.longestDrain)
      return true
    }
    parts.http.stop(within: Self.longestDrain)
    while MonotonicTime.now < begin + Self.longestDrain, !isStopping {
      if await isDrained(parts, rounds, since: begin) { return }
      try? await Task.sleep(for: .milliseconds(5))
    }
    guard !isStopping else { return }
    await refusePending(rounds)
    let cut = await rounds.each { $0.plain?.count ?? 0 }
      .reduce(parts.http.load.count + parts.tls.relayCount, +)
    guard cut > 0 else { return }
    log.warning(
      "requests are cut off by the upgrade: they have not ended in time",
      metadata: ["count": .number(cut), "time": "\(Self.longestDrain.written)"])
  }

  /// Whether nothing is under way any more that another program would not go on with.
  ///
  /// - Parameter begin: when nothing more was accepted.
  private func isDrained(
    _ parts: RunningParts, _ rounds: WorkerRounds, since begin: MonotonicTime
  ) async -> Bool {
    let time = MonotonicTime.now.since(begin)
    let load = parts.http.load
    let idle = await rounds.each { worker in
      if time > Self.lastRequests { worker.sessions.closeSilent() }
      return worker.sessions.pending.isEmpty && worker.plain?.isEmpty != false
        && worker.sessions.areViewsQuiet
    }
    // None has gone to the service, nor come back from there, between the looks at the workers.
    guard !idle.contains(false), load.count == 0, parts.http.load == load, parts.tls.relayCount == 0 else {
      return false
    }
    // Ends that a view is not told in a moment are handed over.
    return gateway.process.views.ownEnds == 0 || time > Self.timeForEnds
  }

  /// Tells the clients to come again whose handshakes are still under way, and gives them a moment to hear it.
  private func refusePending(_ rounds: WorkerRounds) async {
    _ = await rounds.each { worker in
      for connection in worker.sessions.pending.values { connection.stop() }
      return true
    }
    let end = MonotonicTime.now + Self.timeForRefusals
    while MonotonicTime.now < end, !isStopping,
      await rounds.each({ !$0.sessions.pending.isEmpty }).contains(true)
    {
      try? await Task.sleep(for: .milliseconds(5))
    }
  }

  /// Everything goes on as before.
  func goOn(_ parts: RunningParts, _ rounds: WorkerRounds) async {
    _ = await rounds.each { worker in
      worker.reactor.stir()
      worker.sessions.holdViews(false)
      worker.plain?.goOn()
      worker.reactor.resumeListening()
      return true
    }
    parts.http.goOn()
    await gateway.layers.goOn()
  }
}
