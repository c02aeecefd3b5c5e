import GatewayConfig
import JSON
import Logging
import Sessions
import Synchronization
import Transport

extension GatewayServer: AdminOperations {
  func reload(_ order: ReloadOrder, for asker: Asker) async -> AdminAnswer {
    guard order.isPrevious else {
      var result = await reload(askedBy: "\(asker)", asPlanned: order.plan)
      result.renewsCertificates = await renewCertificates(after: result)
      return AdminAnswer(result)
    }
    guard let result = await reloadPrevious(askedBy: "\(asker)") else {
      return .refused(409, "no-previous", "nothing has been reloaded since the start")
    }
    var answer = AdminAnswer(result)
    if result.refusal == nil { answer.body = answer.body.with(["served_from": .string(servedFrom)]) }
    return answer
  }

  func config(_ order: ConfigOrder) async -> AdminAnswer {
    let effective: (yaml: String, json: JSON)?
    do throws(FileThreads.Silence) {
      effective = try await FileThreads.questions.run { [configuration, source] _ in
        EffectiveConfiguration(
          configuration, overrides: source?.overrides ?? [], defaults: order.defaults
        ).map { (yaml: $0.yaml, json: $0.json) }
      }
    } catch {
      return .refused(409, "cannot", "\(error)")
    }
    guard let effective else { return .refused(409, "cannot", "the gateway was not started from a file") }
    return AdminAnswer(["yaml": .string(effective.yaml), "json": effective.json])
  }

  func plan(_ order: PlanOrder, for asker: Asker) async -> AdminAnswer {
    guard let source else { return .refused(409, "cannot", "the gateway was not started from a file") }
    let reach = FileReach(of: asker, source)
    let made: (loaded: LoadedConfiguration, plan: Plan?)
    do throws(FileThreads.Silence) {
      let read = try await FileThreads.questions.run { disk in
        reach.refusal(of: order.file, disk).map(FileReach.Read.refused)
          ?? .loaded(source.load(order.file, from: disk))
      }
      let loaded: LoadedConfiguration
      switch read {
      case .refused(let answer): return answer
      case .loaded(let file): loaded = file
      }
      guard let other = loaded.configuration else { return reach.answer(loaded.report, of: order.file) }
      let refusal = await refusal(of: other, on: .questions)
      let clients = await forecast(of: other, refusal)
      let bound = await boundSessions()
      made = (
        loaded,
        try await FileThreads.questions.run { [self] _ in
          plan(for: loaded, clients: clients, refusal: refusal, bound: bound)
        }
      )
    } catch {
      return .refused(409, "cannot", "\(error)")
    }
    guard let plan = made.plan else { return reach.answer(made.loaded.report, of: order.file) }
    let texts = Plan.Format.allCases.map { format in
      JSON.Member(key: format.rawValue, value: .string(plan.rendered(format)))
    }
    return AdminAnswer(
      [
        "id": .string(plan.id), "exitCode": .number(plan.exitCode),
        "refused": plan.refusal.map { .string($0) } ?? .null, "rendered": .object(texts),
      ])
  }

  /// What would become of the clients by a reload, or by the upgrade that has to take its place; nil where neither is possible.
  private func forecast(of other: Configuration, _ refusal: ReloadRefusal?) async -> ClientForecast? {
    switch refusal {
    case nil: ClientForecast(await predict(other))
    case .needsUpgrade: ClientForecast(await predict(other, isHandingOver: true))
    case .findings, .cannot, .notAsPlanned, .notServing: nil
    }
  }

  /// How many sessions an upgrade would close because they cannot be handed over.
  private func boundSessions() async -> Int {
    let workers = runningParts?.workers.map(\.mailbox) ?? []
    return await WorkerRounds(workers: workers).countBound()
  }

  func upgrade(
    _ request: UpgradeRequest, for asker: Asker, tried: @escaping @Sendable (AdminAnswer) -> Void
  ) async -> AdminAnswer {
    guard var order = upgradeOrder.withLock(\.self) else {
      return .refused(409, "cannot", "the gateway was not started from a program")
    }
    if request.binary != nil, case .token = asker { return .foreignProgram }
    order.path = request.binary ?? order.path
    let (begun, version, program) = (upgrades, order.version, order.file ?? "")
    let refusal = await upgrade(order, askedBy: "\(asker)") { [self] forecast in
      tried(
        AdminAnswer([
          "program": .string(program), "from": .string(version), "to": .string(forecast.version),
          "sessions": .number(forecast.sessions), "streams": .number(forecast.streams),
          "waiting": .number(forecast.waiting), "closing": .number(forecast.closed),
          "closed": forecast.closing.json,
          "undoes_previous": .bool(forecast.undoesPrevious),
          "takes_commands": .bool(!forecast.isSilent),
          "upgrades": .number(Int(clamping: begun)),
          "losses": .array(possibleLosses.map { .string($0) }),
        ]))
    }
    return AdminAnswer(refusal)
  }

  /// What a restart in place may lose, for each layer where it may lose something: what is published on it while nobody listens.
  private var possibleLosses: [String] {
    let served = configuration.served
    return configuration.channelLayers.compactMap { layer in
      guard case .redis(let redis) = layer.backend, redis.layout == .pubSub,
        redis.hosts.contains(where: { $0.tls != nil }),
        served.groups.contains(where: { $0.layer == layer.alias && $0.history == nil })
      else { return nil }
      return
        "channel layer \"\(layer.alias)\" (redis_pubsub over TLS): what is published to groups without a history while the program starts"
    }
  }

  /// Stops as SIGTERM does, and answers when the last session has ended.
  func drain(_ order: DrainOrder, for asker: Asker) async -> AdminAnswer {
    let began = MonotonicTime.now
    let sessions = gateway.process.counters.sessions.count
    let grace = order.grace ?? configuration.shutdown.grace
    log.notice(
      "a drain begins",
      metadata: ["asked-by": "\(asker)", "sessions": .number(sessions), "grace": "\(grace.written)"])
    stop(within: order.grace)
    await life.waitForEnd()
    let cut = life.cut
    let time = MonotonicTime.now.since(began)
    log.notice(
      "drained",
      metadata: [
        "asked-by": "\(asker)", "sessions": .number(sessions), "closed": .number(max(0, sessions - cut)),
        "cut": .number(cut), "hash": "\(runningHash)",
        "milliseconds": .number(Int(time / .milliseconds(1))),
      ])
    return AdminAnswer([
      "sessions": .number(sessions), "closed": .number(max(0, sessions - cut)), "cut": .number(cut),
      "seconds": .seconds(time),
    ])
  }
}
