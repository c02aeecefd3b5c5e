import Bytes
import ChannelLayers
import GatewayConfig
import JSON
import Logging
import Sessions
import Synchronization
import Transport

// In the program that is about to give its place to another one.
//
// After the other one is executed there is no process that could go on. So it is tried first, as a child, with the sessions as they
// are, and before anything is changed. Then the sessions are brought to the file: see `UpgradedFile`. Until the very end nothing is taken
// apart: what is handed over is only looked at, and goes on here if anything fails.

extension GatewayServer {
  /// Says how `sluice upgrade` executes a program. Without, it is refused.
  package func allowUpgrades(by order: UpgradeOrder) {
    upgradeOrder.withLock { $0 = order }
  }

  /// Executes another program on a signal, unless something else is being done. What comes of it is in the log.
  package func upgrade(_ order: UpgradeOrder, on signal: String) async {
    do throws(OperationGate.Busy) {
      _ = try await operations.perform("upgrade", for: .signal(signal)) {
        await upgrade(order, askedBy: signal)
      }
    } catch {
      _ = tell(UpgradeRefusal(error.operation.sentence), signal)
    }
  }

  /// Executes another program in this process, which goes on with its connections. No session changes its route for another reason
  /// meanwhile: see `OperationGate`.
  ///
  /// - Parameters:
  ///   - asker: for the log: `SIGUSR2`, or a user.
  ///   - tried: told once the program has shown that it can take over, and before anything is changed.
  /// - Returns: only where that failed: why everything goes on as before, which is in the log, too.
  func upgrade(
    _ order: UpgradeOrder, askedBy asker: String, tried: @Sendable (UpgradeForecast) -> Void = { _ in }
  ) async -> UpgradeRefusal {
    upgradeRefusal.withLock { $0 = nil }
    var done: [String] = []
    var refusal: UpgradeRefusal
    do {
      refusal = try await replace(by: order, askedBy: asker, &done, tried)
    } catch let error as UpgradeRefusal {
      refusal = error
    } catch {
      refusal = UpgradeRefusal("\(error)")
    }
    refusal.done = done + refusal.done
    if let parts = runningParts {
      _ = await WorkerRounds(workers: parts.workers.map(\.mailbox)).each { $0.stayWithThisProgram() }
    }
    upgradeRefusal.withLock { [refusal] in $0 = refusal }
    return tell(refusal, asker)
  }

  private func tell(_ refusal: UpgradeRefusal, _ asker: String) -> UpgradeRefusal {
    var error = "\(refusal)"
    if let text = refusal.findings?["text"]?.string {
      error += ":\n" + text.split(separator: "\n").prefix(Self.mostLines).joined(separator: "\n")
    }
    // A stop is no fault.
    log.log(
      level: isStopping ? .notice : .error, "nothing was upgraded; \(sequel(of: refusal))",
      metadata: ["asked-by": "\(asker)", "error": "\(error)"])
    return refusal
  }

  private func sequel(of refusal: UpgradeRefusal) -> Logger.Message {
    if !refusal.done.isEmpty { return "what was done before it failed stays as it is" }
    return isStopping
      ? "the upgrade was given up, because the gateway stops" : "the gateway goes on as before"
  }

  /// So many lines of what is wrong with the file are in the log; the command shows all.
  private static let mostLines = 20

  /// - Parameter done: gets what was changed before it failed.
  private func replace(
    by order: UpgradeOrder, askedBy asker: String, _ done: inout [String],
    _ tried: @Sendable (UpgradeForecast) -> Void
  ) async throws -> UpgradeRefusal {
    guard !isStopping else { throw UpgradeRefusal.stopping }
    guard let parts = runningParts else { throw UpgradeRefusal.notServing("the gateway is not running") }
    if let source, Disk.isStandardInput(source.path) {
      throw UpgradeRefusal("\"\(source.path)\" cannot be read: \(Disk.standardInputIsRead)")
    }
    let rounds = WorkerRounds(workers: parts.workers.map(\.mailbox))
    let program = try await Self.open(order)
    // Whom a reload before this has begun to close is not handed over.
    await waitForCloses(rounds)
    let begun = MonotonicTime.now
    let (report, waiting) = try await trial(program, order, parts, rounds)
    let time = MonotonicTime.now.since(begun)
    let file = try await upgradedFile()
    // From here on, as whoever the file closes comes back, and would be closed again.
    var bound = await refuseBound(rounds, startingTakes: file.timeOfCloses + time)
    let forecast = forecast(report, waiting: waiting, file, bound)
    tell(forecast, order, asker)
    tried(forecast)
    // Whoever is told has the answer before its connection ends with this program.
    try? await Task.sleep(for: Self.timeToAnswer)
    if try await bring(to: file, for: asker, rounds, &done, next: timeUntilServed(startingTakes: time)) {
      bound = await refuseBound(rounds, startingTakes: time)
    }
    await closeBound(bound, rounds, parts.tls)
    if bound > 0 { done.append("\(bound) sessions that cannot be handed over were closed") }
    return await executeDrained(program, order, parts, rounds, startingTakes: time)
  }

  private func tell(_ forecast: UpgradeForecast, _ order: UpgradeOrder, _ asker: String) {
    var facts: Logger.Metadata = [
      "asked-by": "\(asker)", "from": "\(order.version)", "to": "\(forecast.version)",
      "program": "\(order.file ?? "")", "sessions": .number(forecast.sessions),
      "streams": .number(forecast.streams), "closing": .number(forecast.closed),
    ]
    if forecast.waiting > 0 { facts["waiting"] = .number(forecast.waiting) }
    log.notice("upgrading", metadata: facts)
  }

  static let timeToAnswer = Duration.milliseconds(100)

  /// Where commands wait while the program is executed.
  var commandSockets: [InheritedCommandSocket] { commands.withLock { $0?.watch.inheritable ?? [] } }

  private static func open(_ order: UpgradeOrder) async throws -> ProgramFile {
    guard let path = order.file else {
      throw UpgradeRefusal("it is not known where this program is, without /proc: name it with --binary")
    }
    let (shortage, opened) = try await FileThreads.shared.run { disk in
      (
        DescriptorLimit.shortageOfUpgrade(),
        disk.reach(path) { _ in Result { try ProgramFile(path: path) } }
      )
    }
    if let shortage { throw UpgradeRefusal(shortage) }
    do {
      return try opened.get()
    } catch {
      throw UpgradeRefusal("\(path): \(error)")
    }
  }

  // MARK: - The trial

  /// Has the program read everything that it would be given now.
  ///
  /// - Returns: also how many sessions were not, as they wait for something.
  private func trial(
    _ program: ProgramFile, _ order: UpgradeOrder, _ parts: RunningParts, _ rounds: WorkerRounds
  ) async throws -> (TrialReport, waiting: Int) {
    try UpgradeMemory(of: self).check(.trial)
    var workers: [WorkerPart] = await rounds.each { worker, done in worker.sessions.handedPart { done($0) } }
    let record = try file(&workers, await gateway.layers.states(of: gateway.process.layers), order, parts)
    // The program that is tried needs the memory that the pieces of a long record had.
    if record.size > Self.longRecord { ProcessMemory.trim() }
    let path = order.path ?? ProgramFile.ownPath ?? ""
    let isGivenUp = hasStopBegun
    // It ends within its time, unless its file gives no answer.
    let report = try await FileThreads.shared.run(within: UpgradeTrial.patience * 2) { disk in
      disk.reach(path) { _ in
        Result {
          do {
            return try UpgradeTrial.run(
              program, order, on: record, within: UpgradeTrial.patience, unless: isGivenUp)
          } catch let failure as TransportFailure {
            // Such as a program for another machine.
            throw UpgradeRefusal("\(path): \(failure)")
          }
        }
      }
    }.get()
    return (report, workers.reduce(0) { $0 + $1.waiting })
  }

  /// Bytes.
  private static let longRecord = 4 << 20

  /// - Parameter workers: are without their records then, which are in the file.
  func file(
    _ workers: inout [WorkerPart], _ layers: [LayerState], _ order: UpgradeOrder, _ parts: RunningParts
  ) throws -> MemoryFile {
    var record = GatewayRecord()
    record.version = order.version
    record.listeners = inheritableListeners
    record.commands = commandSockets
    record.layers = layers
    record.remains = gateway.layers.remains(besides: gateway.process.layers)
    record.connections = workers.map { HandedConnections(sessions: $0.sessions, descriptors: $0.descriptors) }
    record.orders = StandingOrder.Kind.allCases.flatMap(gateway.process.orders.all).map(OrderState.init)
    record.lifted = gateway.process.orders.lifts
    record.rates = gateway.process.rates
    record.answers = gateway.publisher.answers.states()
    record.ends = gateway.process.views.handedEnds
    record.stoppedAt = MonotonicTime.now.nanoseconds
    record.upgrades = upgrades + 1
    record.served = configuration.written?.source
    record.previous = current.previous?.written
    var writer = RecordWriter()
    record.write(to: &writer)
    for index in workers.indices {
      writer.add(GatewayRecord.worker, pieces: workers[index].record)
      workers[index].record = []
    }
    return try MemoryFile(writer.take())
  }
}
