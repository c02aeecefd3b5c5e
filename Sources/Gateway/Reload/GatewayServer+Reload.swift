import ChannelLayers
package import GatewayConfig
import Logging
package import Sessions
import Synchronization
import Transport

extension GatewayServer {
  /// The configuration that is served: that of the last file, with what could not be taken on as it was.
  package var configuration: Configuration { current.configuration }

  /// Stands for the text of what is served.
  package var runningHash: String { current.hash }

  /// The settings outside of the routes that a reload of another configuration would change, or could not change.
  package func comparison(with other: Configuration) -> [SettingChange] {
    configuration.settingChanges(to: other)
      + configuration.layerFeatures(neededBy: other, of: layerFeatures)
  }

  /// What the channel layers that are served were made for.
  private var layerFeatures: [String: LayerFeatures] {
    gateway.layers.features(of: gateway.process.layers)
  }

  /// What a reload of another configuration would do to the clients that are connected now. Nothing is changed.
  ///
  /// - Parameters:
  ///   - plan: when those come back that would be closed, and are closed now; nil where nobody is.
  ///   - isHandingOver: whether those are left out that cannot be handed over to another program.
  /// - Returns: no counts while nothing is served.
  package func predict(
    _ other: Configuration, closing plan: ClosePlan? = nil, isHandingOver: Bool = false
  ) async -> ExchangeCounts {
    guard let workers = runningParts?.workers else { return ExchangeCounts() }
    // Its layers are compared by what the files say.
    let routes = gateway.process.routes(of: other)
    return await withCheckedContinuation { done in
      let tally = ExchangeTally { done.resume(returning: $0) }
      for worker in workers {
        worker.mailbox.post(
          .perform { $0.forecast(by: routes, tally, closing: plan, isHandingOver: isHandingOver) })
      }
    }
  }

  /// Reads the file again, and serves what it says, without a restart. Like everything here, it is done alone: see `OperationGate`.
  ///
  /// - Parameters:
  ///   - asker: for the log: `SIGHUP`, or a user.
  ///   - plan: the identification of a plan, which the reload has to be; nil for any.
  ///   - other: another file in place of the one that the gateway was started with.
  package func reload(
    askedBy asker: String, asPlanned plan: String? = nil, from other: String? = nil
  ) async -> ReloadResult {
    guard let source else { return ReloadResult(refusal: .cannot("the gateway was not started from a file")) }
    return await reload(askedBy: asker) { [self] disk in
      let loaded = source.load(other, from: disk)
      if let plan, let found = self.plan(for: loaded)?.id, found != plan {
        return (nil, loaded.report, .notAsPlanned(found))
      }
      return (loaded.configuration, loaded.report, nil)
    }
  }

  /// What a reload of a file would change; nil for one with errors. Compares routes path by path, which may take long.
  ///
  /// - Parameters:
  ///   - clients: what would become of them.
  ///   - refusal: why it would be refused.
  ///   - bound: how many of them an upgrade would close because they cannot be handed over.
  func plan(
    for loaded: LoadedConfiguration, clients: ClientForecast? = nil, refusal: ReloadRefusal? = nil,
    bound: Int? = nil
  ) -> Plan? {
    loaded.configuration.map {
      Plan(
        ConfigurationComparison(from: configuration, to: $0, layers: layerFeatures),
        old: secrets.digest(of: configuration), new: secrets.digest(of: $0),
        clients: clients, refusal: refusal.map { "\($0)" }, bound: bound)
    }
  }

  /// Reads the file and the certificates again. The certificates are renewed also where the file is refused: what renews them sends
  /// SIGHUP, whatever the file looks like at that moment. While something else is being done, they are so at once, and the file is read when
  /// that is over: it may have read the file before it was changed.
  package func hangUp() async {
    let signal = "SIGHUP"
    var isTold = false
    while true {
      do throws(OperationGate.Busy) {
        let result = try await operations.perform("reload", for: .signal(signal)) {
          await reload(askedBy: signal)
        }
        _ = await renewCertificates(after: result)
        return
      } catch {
        if !isTold {
          isTold = true
          tellOfWait(for: error.operation, signal)
          _ = await reloadCertificates()
        }
        guard !isStopping else { return }
        await operations.wait()
      }
    }
  }

  private func tellOfWait(for other: OperationGate.Operation, _ signal: String) {
    log.notice(
      isStopping
        ? "the file is not reloaded, because the gateway stops"
        : "the file is reloaded once what is under way is over",
      metadata: ["asked-by": "\(signal)", "under-way": "\(other.sentence)"])
  }

  /// Where the file is refused: what renews certificates asks for a reload, whatever the file looks like at that moment.
  ///
  /// - Returns: whether other certificates are served.
  func renewCertificates(after result: ReloadResult) async -> Bool {
    switch result.refusal {
    case nil, .notServing: false
    case .findings, .needsUpgrade, .cannot, .notAsPlanned: await reloadCertificates()
    }
  }

  /// Undoes the last reload.
  ///
  /// - Returns: nil where there was none.
  func reloadPrevious(askedBy asker: String) async -> ReloadResult? {
    let wasUndone = current.isUndone
    guard let result = await serveAgain(askedBy: asker) else { return nil }
    // What was undone is what the file said.
    if result.refusal == nil, !wasUndone {
      current.undone()
      log.warning(
        "what is served is not what the file says, but what was served before",
        metadata: [
          "asked-by": "\(asker)", "hash": "\(current.hash)",
          "hint": "the next reload, SIGHUP or upgrade serves the file",
        ])
    }
    return result
  }

  private func serveAgain(askedBy asker: String) async -> ReloadResult? {
    var result: ReloadResult
    switch current.previous {
    case nil: return nil
    case let previous?:
      if let source, let written = previous.written {
        result = await exchange { disk in
          let loaded = source.load(written, from: disk)
          return (loaded.configuration, loaded.report, nil)
        }
      } else if case .configuration(let configuration) = previous {
        result = await exchange { _ in (configuration, nil, nil) }
      } else {
        return nil
      }
    }
    if case .needsUpgrade(let settings, _)? = result.refusal {
      // An upgrade serves the file.
      result.refusal = .needsUpgrade(settings, isUndo: true)
      current.refused(for: result.refusal.map { "\($0)" })
    }
    return tell(result, asker)
  }

  /// Serves another configuration.
  package func reload(askedBy asker: String, to configuration: Configuration) async -> ReloadResult {
    await reload(askedBy: asker) { _ in (configuration, nil, nil) }
  }

  /// - Parameter load: reads the file; it may take long. Says why it is not served where the findings do not.
  private func reload(
    askedBy asker: String,
    _ load: @escaping @Sendable (WatchedDisk) -> (Configuration?, FindingReport?, ReloadRefusal?)
  ) async -> ReloadResult {
    tell(await exchange(by: load), asker)
  }

  /// The same for whoever tells what has become of it.
  func exchange(
    by load: @escaping @Sendable (WatchedDisk) -> (Configuration?, FindingReport?, ReloadRefusal?)
  ) async -> ReloadResult {
    let start = MonotonicTime.now
    service?.tell(.reloading(since: start))
    let (read, report, refusal) = await self.read(by: load)
    var result = ReloadResult(report: report, hash: current.hash)
    if let configuration = read {
      result.settings = comparison(with: configuration)
      result.withoutEffect = self.configuration.newlyWithoutEffect(in: configuration)
      do throws(ReloadRefusal) {
        result.counts = try await exchange(for: configuration)
        result.hash = current.hash
      } catch {
        result.refusal = error
      }
    } else {
      result.refusal = refusal ?? .findings
    }
    result.duration = MonotonicTime.now.since(start)
    current.refused(for: result.refusal.map { "\($0)" })
    // A stop that began meanwhile has been told.
    if !isStopping { service?.tell(.ready(status: serviceStatus)) }
    return result
  }

  private func read(
    by load: @escaping @Sendable (WatchedDisk) -> (Configuration?, FindingReport?, ReloadRefusal?)
  ) async -> (Configuration?, FindingReport?, ReloadRefusal?) {
    do throws(FileThreads.Silence) {
      return try await FileThreads.shared.run(load)
    } catch {
      return (nil, nil, .cannot("\(error)"))
    }
  }
}

// MARK: - The exchange

extension GatewayServer {
  /// All that can fail, done before anything is exchanged.
  private struct Prepared: Sendable {
    var tls: TLSContext?
    var sockets: ListeningSockets.Change
    var shares: DescriptorShares
    var connections: Int
    var layers: ServedLayers
    var routes: ServedRoutes
    /// The layers that were not there before.
    var added: [any LayerBackend]
  }

  /// Why a configuration would be refused, as far as that is known beforehand; nil where it would not. Nothing is changed by it.
  func refusal(of wanted: Configuration, on threads: FileThreads = .shared) async -> ReloadRefusal? {
    do throws(ReloadRefusal) {
      _ = try await check(wanted, on: threads)
      return nil
    } catch {
      return error
    }
  }

  private func exchange(for wanted: Configuration) async throws(ReloadRefusal) -> ExchangeCounts {
    guard let parts = runningParts else { throw .notServing }
    let (configuration, context) = try await check(wanted)
    let prepared = try await prepare(configuration, context, parts.workers, parts.tls)
    // Before a client comes in that an order keeps out, and once nothing can be refused: sessions may be closed for them.
    await orders.load(of: prepared.added, within: Self.layerPatience)
    parts.tls.use(prepared.tls)
    parts.tls.renewTrust()
    gateway.process.renewTrust()
    if let certificates = configuration.server.tls { tellRenewed(certificates) }
    gateway.limit(configuration.server, connections: prepared.connections, prepared.shares)
    gateway.layers.renewAccess(of: prepared.layers, by: configuration)
    if let level { level.current = Logger.Level(configuration.logging.level) }
    current.serve(configuration)
    defer { orders.joined(prepared.added) }
    return await exchange(prepared, parts.workers)
  }

  private func exchange(
    _ prepared: Prepared, _ workers: [RunningParts.Worker]
  ) async -> ExchangeCounts {
    gateway.serve(prepared.routes)
    let change = prepared.sockets
    // A stop may have removed the files already.
    current.sockets.withLock { if $0 != nil { $0 = change.sockets } else { change.sockets.remove() } }
    change.removeFiles()
    for address in change.opened { log.notice("listening on \(address.url)") }
    for address in change.left { log.notice("not listening on \(address.url) any more") }
    return await withCheckedContinuation { done in
      let tally = ExchangeTally { done.resume(returning: $0) }
      for (worker, opened) in zip(workers, change.sockets.listeners) {
        worker.mailbox.post(
          .exchange(ExchangeOrder(opened: opened, kept: change.kept, closed: change.closed, tally: tally)))
      }
    }
  }

  /// The sockets come last: whoever connects to one is never left without an answer.
  private func prepare(
    _ configuration: Configuration, _ context: TLSContext?, _ workers: [RunningParts.Worker],
    _ tls: TLSService
  ) async throws(ReloadRefusal) -> Prepared {
    if configuration.served.hasSecureUpstreams { tls.allowUpstreams(threads: gateway.process.threads) }
    let (layers, added) = gateway.layers.layers(for: configuration, after: gateway.process.layers)
    gateway.process.connect(added)
    try await prepare(workers, added, needsHandshakes: context != nil)
    gateway.layers.run()
    await gateway.layers.settle(added, within: Self.layerPatience)
    let shares = descriptors.shares(for: configuration, threads: gateway.process.threads)
    return Prepared(
      tls: context, sockets: try await openSockets(for: configuration), shares: shares,
      connections: min(configuration.server.connections ?? shares.connections, shares.connections),
      layers: layers, routes: gateway.process.routes(of: configuration, layers), added: added)
  }

  /// Finds out what can be known beforehand of whether a configuration could be served. Nothing is changed by it.
  ///
  /// - Returns: what is served of it, and what TLS with clients is made of.
  private func check(
    _ wanted: Configuration, on threads: FileThreads = .shared
  ) async throws(ReloadRefusal) -> (configuration: Configuration, tls: TLSContext?) {
    guard let sockets = current.sockets.withLock(\.self), !isStopping else { throw .notServing }
    // First, because an upgrade would not help either.
    if let lent = sockets.lentAddress(notIn: wanted.server.listeners) {
      throw .cannot(Self.keeping(lent.address, of: lent.unit))
    }
    let blocking = comparison(with: wanted).filter(\.isBlocking)
    guard blocking.isEmpty else { throw .needsUpgrade(blocking) }
    let configuration = wanted.keepingWhatNeedsUpgrade(of: self.configuration)
    do {
      try Self.checkDescriptors(for: configuration)
      // Names of hosts may have to be asked for.
      try await threads.run { _ in
        Result { try sockets.tryChange(to: configuration.server.listeners) }
      }.get()
      return (configuration, try configuration.server.tls?.makeContext())
    } catch {
      throw .cannot("\(error)")
    }
  }

  private func openSockets(
    for configuration: Configuration
  ) async throws(ReloadRefusal) -> ListeningSockets.Change {
    guard let sockets = current.sockets.withLock(\.self) else { throw .notServing }
    do {
      return try await FileThreads.shared.run { _ in
        Result {
          let change = try sockets.change(to: configuration.server.listeners)
          try change.giveFiles()
          return change
        }
      }.get()
    } catch {
      throw .cannot("\(error)")
    }
  }

  /// Gets every worker ready for what is served next.
  private func prepare(
    _ workers: [RunningParts.Worker], _ layers: [any LayerBackend], needsHandshakes: Bool
  ) async throws(ReloadRefusal) {
    let faults: [String?] = await WorkerRounds(workers: workers.map(\.mailbox)).each {
      $0.prepare(layers, needsHandshakes: needsHandshakes)
    }
    if let fault = faults.lazy.compactMap(\.self).first { throw .cannot(fault) }
  }

  /// The sockets that are listened on, for a process that takes this one's place.
  var inheritableListeners: [InheritedListener] { current.sockets.withLock { $0?.inheritable ?? [] } }
}

// MARK: - The log

extension GatewayServer {
  /// So many findings of a refused file are lines of the log; the command shows all.
  private static let mostFindings = 20

  func tell(_ result: ReloadResult, _ asker: String) -> ReloadResult {
    if let report = result.report { tell(report) }
    guard let refusal = result.refusal else {
      for setting in result.withoutEffect {
        log.warning(
          "a setting of the file has no effect",
          metadata: ["setting": "\(setting.key)", "file": "\(setting.value)", "option": "\(setting.option)"])
      }
      for setting in result.needingUpgrade {
        log.warning(
          "a setting stays as it was until the process starts anew",
          metadata: [
            "setting": "\(setting.key)", "served": "\(setting.old)", "file": "\(setting.new)",
            "hint": "\(setting.need.words) takes it on",
          ])
      }
      log.notice("the file was reloaded", metadata: facts(of: result, asker))
      return result
    }
    // Certificates may be renewed all the same.
    log.error(
      "the file was not reloaded; what was served before stays",
      metadata: ["asked-by": "\(asker)", "reason": "\(refusal)", "hash": "\(current.hash)"])
    return result
  }

  func facts(of result: ReloadResult, _ asker: String) -> Logger.Metadata {
    [
      "asked-by": "\(asker)", "hash": "\(result.hash)",
      "milliseconds": .number(Int(result.duration / .milliseconds(1))),
    ].merging(result.counts.facts) { $1 }
  }

  func tell(_ report: FindingReport) {
    for finding in report.findings.prefix(Self.mostFindings) {
      let place = finding.range.map { "\($0.file.path):\($0.start.line):\($0.start.column)" } ?? report.path
      log.log(
        level: finding.severity == .error ? .error : .warning, "\(finding.message)",
        metadata: finding.hint.map { ["place": "\(place)", "hint": "\($0)"] } ?? ["place": "\(place)"])
    }
    let left = report.findings.count - Self.mostFindings
    if left > 0 {
      log.warning("there are more findings", metadata: ["others": .number(left), "hint": "sluice validate"])
    }
  }
}

extension ExchangeCounts {
  /// For the log.
  var facts: Logger.Metadata {
    var facts: Logger.Metadata = [
      "stayed": .number(stayed), "changed": .number(changed), "closed": .number(closed.values.reduce(0, +)),
    ]
    if arriving > 0 { facts["arriving"] = .number(arriving) }
    for (code, count) in closed { facts["closed-\(code)"] = .number(count) }
    return facts
  }
}
