import Bytes
import ChannelLayers
import GatewayConfig
import Glibc
import Logging
import Sessions
import Transport

// In the program that takes over, or tries to.

extension GatewayServer {
  /// Puts the sessions of the process before into their groups, on the workers. Nothing is read before `goOn`.
  ///
  /// - Returns: nil where there is no process before.
  func takeOver(on parts: RunningParts) async -> TakenSessions? {
    guard let record = handed?.record else { return nil }
    return await take(record, on: parts)
  }

  private func take(_ record: GatewayRecord, on parts: RunningParts) async -> TakenSessions {
    let workers = parts.workers
    let rounds = WorkerRounds(workers: workers.map(\.mailbox))
    _ = await rounds.each { $0.reactor.holdStill() }
    let routes = HandedRoutes(await servedBefore(record))
    let taken = await withTaskGroup(of: TakenSessions.self) { tasks in
      for (index, worker) in workers.enumerated() {
        // The file may want fewer workers than there were.
        let parts = stride(from: index, to: record.workers.count, by: workers.count).map {
          HandedWorker(
            record: record.workers[$0],
            connections: record.connections.indices.contains($0) ? record.connections[$0] : nil)
        }
        tasks.addTask { [log] in await Self.take(parts, from: routes, on: worker.mailbox, log: log) }
      }
      return await tasks.reduce(TakenSessions(), +)
    }
    // Orders of other processes reach them from the beginning.
    _ = await rounds.each { $0.judgeControl(isResumed: true) }
    return taken
  }

  /// Has the sessions go on. Those of all workers are in their groups, so what a client has sent meanwhile is for all of them; and the
  /// layers are there, as far as they can be, so that it is not refused. What was handed over is given up.
  func goOn(with taken: TakenSessions, on parts: RunningParts) async {
    guard let record = handed?.take() else { return }
    _ = await WorkerRounds(workers: parts.workers.map(\.mailbox)).each { worker in
      worker.sessions.goOnWithTaken()
      worker.reactor.stir()
    }
    let lost = gateway.process.views.resume(record.ends)
    if lost > 0 {
      log.warning(
        "views are not told the ends of sessions, as their routes are gone",
        metadata: ["count": .number(lost)])
    }
    let pause = MonotonicTime.now.since(MonotonicTime(nanoseconds: record.stoppedAt))
    log.notice(
      "upgraded",
      metadata: [
        "from": "\(record.version)", "sessions": .number(taken.sessions),
        "streams": .number(taken.streams), "closed": .number(taken.closed),
        "pause-ms": .number(Int(pause / .milliseconds(1))),
      ])
  }

  private static func take(
    _ parts: [HandedWorker], from routes: HandedRoutes, on mailbox: Mailbox<WorkerMessage>, log: Logger
  ) async -> TakenSessions {
    await withCheckedContinuation { continuation in
      let isAsked = mailbox.post(
        .perform { sessions in
          // They are taken together, before anything is delivered to one of them.
          let states = parts.compactMap { $0.state(log) }
          continuation.resume(returning: sessions.take(states, from: routes))
        })
      if !isAsked { continuation.resume(returning: TakenSessions()) }
    }
  }

  /// What the process before has served. It is read as it was written then, also its secrets, so that nothing but the program can make a
  /// difference.
  ///
  /// - Returns: nil where this program cannot read it, which the trial has refused.
  private func servedBefore(_ record: GatewayRecord) async -> Configuration? {
    guard let source, let written = record.otherServed(than: configuration) else { return configuration }
    let served = try? await FileThreads.shared.run { disk in
      Result { try Self.servedBefore(written, source, disk) }
    }
    return try? served?.get()
  }

  /// Reads a record as `run` would, without a socket, and says what would become of the sessions.
  ///
  /// - Parameter source: how files are read.
  /// - Returns: why it could not be served, where an address of the file cannot be had.
  /// - Throws: `RecordedFault`, or what would keep the gateway from starting.
  package func trial(
    of record: GatewayRecord, from source: GatewaySource, version: String
  ) throws -> TrialReport {
    _ = try configuration.server.tls?.makeContext()
    var report = TrialReport()
    report.version = version
    report.isSilent = configuration.server.admin == .nowhere
    do throws(StartFailure) {
      try AddressTrial(of: record, process: getppid()).check(configuration.server)
    } catch {
      report.refusal = "\(error)"
      return report
    }
    let before =
      try record.otherServed(than: configuration).map { try Self.servedBefore($0, source, Disk()) }
    let routes = HandedRoutes(before ?? configuration)
    var handed = record.listeners.count + record.layers.reduce(0) { $0 + $1.receivers.count }
    for part in record.workers {
      let state = try RecordReader.read(part, as: WorkerState.self)
      handed += state.connections
      let taken = gateway.process.served.trial(of: state, from: routes)
      report.sessions += taken.sessions
      report.streams += taken.streams
      report.closing.merge(taken.closing, uniquingKeysWith: +)
    }
    // The record is one more.
    try Self.checkDescriptors(for: configuration, besides: handed + 1)
    return report
  }

  private static func servedBefore(
    _ written: ConfigurationFiles, _ source: GatewaySource, _ files: any FileAccess
  ) throws -> Configuration {
    let loaded = source.load(written, from: files)
    guard let served = loaded.configuration else {
      let findings = loaded.report.rendered(.text)
      throw StartFailure(
        description:
          "this program cannot read the file that is served now, so that it does not know what the routes of the sessions mean: change the file so that both programs can read it, and reload it before the upgrade\n\(findings)"
      )
    }
    return served
  }
}

extension GatewayRecord {
  /// What was served, where that is not what is served here.
  fileprivate func otherServed(than configuration: Configuration) -> ConfigurationFiles? {
    served.flatMap { $0.saysTheSame(as: configuration.written?.source) ? nil : $0 }
  }
}

/// What one worker of the process before has handed over.
private struct HandedWorker: Sendable {
  var record: ArraySlice<UInt8>
  /// Nil where the program before did not say.
  var connections: HandedConnections?

  /// Nil where it cannot be read, although records of the same sessions could when they were tried. Nobody goes on with them then.
  func state(_ log: Logger) -> WorkerState? {
    do throws(RecordedFault) {
      return try RecordReader.read(record)
    } catch {
      log.error(
        "sessions are cut off by the upgrade: what the program before has said of them cannot be read",
        metadata: ["count": .number(connections?.sessions ?? 0), "error": "\(error)"])
      connections?.close()
      return nil
    }
  }
}
