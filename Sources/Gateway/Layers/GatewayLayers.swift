package import ChannelLayers
package import GatewayConfig
import Logging
import NIOCore
import NIOPosix
import RedisLayers
import Sessions
import Synchronization
import Transport

/// The channel layers that the served routes use, for the whole process. Each worker has its own end of each layer.
///
/// A reload may add some. One that no route refers to any more, however old the route is, ends.
final class GatewayLayers: Sendable {
  private struct Entry {
    let layer: any LayerBackend
    var configuration: ChannelLayerConfiguration
    let history: GroupHistory?
    let features: LayerFeatures
    /// Nil until it runs.
    var task: Task<Void, Never>?
  }

  private struct State {
    var entries: [Entry] = []
    /// For Redis: one event loop is enough for all layers, as it only moves bytes between Redis and the reactors.
    var group: MultiThreadedEventLoopGroup?
    var workers: [Mailbox<WorkerMessage>] = []
    var isStopped = false
  }

  private let state = Mutex(State())
  /// Of the process that this one takes the place of: each is used by the first layer of its alias, if that is the same one.
  private let states: Mutex<[LayerState]>
  /// What the process before has written that is not gone on with, until the layers run.
  private let leftBefore: Mutex<[LayerRemains]>
  private let withdrawals = LayerWithdrawals()
  private let log: Logger
  private let refused: @Sendable () -> Void
  /// Of the histories of all layers.
  let historyMemory: HistoryMemory

  /// How long a worker keeps its end of a layer that has ended: whatever it was asked for meanwhile is over by then.
  private static let lingering = Duration.seconds(60)
  /// How long a layer that is not used any more may take to remove what this process has in it.
  private static let patience = Duration.seconds(2)

  /// - Parameter refused: called for each event that a reactor did not get because too much waits for it.
  /// - Parameter states: those of the process that this one takes the place of.
  /// - Parameter remains: what that process had still to remove.
  init(
    _ configuration: Configuration, resuming states: [LayerState] = [], leaving remains: [LayerRemains] = [],
    log: Logger, refused: @escaping @Sendable () -> Void
  ) {
    self.log = log
    leftBefore = Mutex(remains)
    self.states = Mutex(states)
    self.refused = refused
    historyMemory = HistoryMemory(limit: configuration.server.historyMemory.bytes)
  }

  // MARK: - What is served

  /// The layers for a configuration: those that are there, where they keep the same groups, and new ones for the others.
  ///
  /// - Parameter current: those that are served.
  /// - Returns: also those that are new. They have to be brought to the workers, and to `run`.
  func layers(
    for configuration: Configuration, after current: ServedLayers?
  ) -> (served: ServedLayers, added: [any LayerBackend]) {
    let used = configuration.served.channelLayers
    var leases: [LayerLease] = []
    var added: [any LayerBackend] = []
    for layer in configuration.channelLayers where used.contains(layer.alias) {
      if let known = current?.lease(layer.alias), isSamePlace(known.layer, layer) {
        leases.append(known)
      } else {
        let new = make(layer, for: configuration.served)
        leases.append(LayerLease(new) { [weak self] in self?.retire($0) })
        added.append(new)
      }
    }
    return (ServedLayers(leases: leases), added)
  }

  /// What layers were made for, by their aliases.
  func features(of served: ServedLayers) -> [String: LayerFeatures] {
    state.withLock { state in
      served.all.reduce(into: [:]) { features, layer in
        features[layer.alias] = state.entries.first { $0.layer === layer }?.features
      }
    }
  }

  private func isSamePlace(_ layer: any LayerBackend, _ configuration: ChannelLayerConfiguration) -> Bool {
    self.configuration(of: layer)?.isSamePlace(as: configuration) == true
  }

  /// Has those that are served reach their servers as a configuration says, from the next connection on.
  func renewAccess(of served: ServedLayers, by configuration: Configuration) {
    state.withLock { state in
      for index in state.entries.indices {
        let entry = state.entries[index]
        guard served.all.contains(where: { $0 === entry.layer }),
          let new = configuration.channelLayers.first(where: entry.configuration.isSamePlace),
          new != entry.configuration
        else { continue }
        state.entries[index].configuration = new
        entry.layer.renewAccess(by: new)
      }
    }
  }

  private func make(
    _ layer: ChannelLayerConfiguration, for application: ApplicationConfiguration
  ) -> any LayerBackend {
    let rules = Self.historyRules(of: layer.alias, application)
    let history = rules.isEmpty ? nil : GroupHistory(rules, memory: historyMemory)
    let backend = makeBackend(layer, history, for: application)
    state.withLock {
      $0.entries.append(
        Entry(
          layer: backend, configuration: layer, history: history,
          features: LayerFeatures(layer, for: application)))
    }
    return backend
  }

  private func makeBackend(
    _ layer: ChannelLayerConfiguration, _ history: GroupHistory?, for application: ApplicationConfiguration
  ) -> any LayerBackend {
    let uses = application.uses(ofLayer: layer.alias)
    let resumed = states.withLock { states in
      states.firstIndex { $0.alias == layer.alias && $0.goesOn(in: layer) }
        .map { states.remove(at: $0) }
    }
    let backend = makeBackend(layer, history, uses, resumed, for: application)
    // Of presence, for example, where no route has it any more.
    if let remains = resumed?.remains?.without(backend.remains) { leftBefore.withLock { $0.append(remains) } }
    return backend
  }

  private func makeBackend(
    _ layer: ChannelLayerConfiguration, _ history: GroupHistory?, _ uses: LayerUses, _ resumed: LayerState?,
    for application: ApplicationConfiguration
  ) -> any LayerBackend {
    switch layer.backend {
    case .memory:
      // A route may have presence later.
      return MemoryBackend(
        alias: layer.alias, history: history, hasPresence: true, resuming: resumed, refused: refused)
    case .redis(let redis):
      return RedisBackend(
        alias: layer.alias, redis, history: history, hasPresence: uses.presence, keepsRecords: uses.records,
        keepsOrders: application.takesTimedOrders, obeysOrders: application.takesOrders, resuming: resumed,
        on: group, log: log)
    }
  }

  private var group: MultiThreadedEventLoopGroup {
    state.withLock { state in
      let group = state.group ?? MultiThreadedEventLoopGroup(numberOfThreads: 1)
      state.group = group
      return group
    }
  }

  private static func historyRules(of alias: String, _ application: ApplicationConfiguration) -> HistoryRules
  {
    var rules = HistoryRules()
    for history in application.histories(on: alias) { rules.add(history.pattern, history.limits) }
    return rules
  }

  /// No route refers to the layer any more.
  private func retire(_ layer: any LayerBackend) {
    let (entry, workers, left) = state.withLock { state -> (Entry?, [Mailbox<WorkerMessage>], Int?) in
      // A stop ends it in any case.
      guard !state.isStopped, let index = state.entries.firstIndex(where: { $0.layer === layer }) else {
        return (nil, [], nil)
      }
      let entry = state.entries.remove(at: index)
      // Known without a gap, in case another process takes this one's place.
      return (entry, state.workers, entry.task == nil ? nil : withdrawals.expect(layer.remains))
    }
    guard let entry else { return }
    if let history = entry.history { historyMemory.unregister(history) }
    // It ends by itself; a stop of the process waits for the layers that are in use.
    Task {
      if entry.task != nil { await layer.stop(within: Self.patience) }
      await entry.task?.value
      // Its connections may have been away.
      begin(left)
      try? await Task.sleep(for: Self.lingering)
      for worker in workers { worker.post(.perform { $0.remove(layer) }) }
    }
  }

  // MARK: - What nobody uses any more

  /// What this process has in layers that are not served, and what else is to be removed from Redis.
  func remains(besides served: ServedLayers) -> [LayerRemains] {
    let waiting = state.withLock { state in
      state.entries.filter { entry in entry.task != nil && !served.all.contains { $0 === entry.layer } }
    }
    return waiting.compactMap(\.layer.remains).filter { !$0.isEmpty } + withdrawals.unfinished
  }

  private func begin(_ number: Int?) {
    guard let number, !state.withLock(\.isStopped) else { return }
    withdrawals.begin(number) { [group, log] in await RedisWithdrawal($0, on: group, log: log).run() }
  }

  /// Removes what the process before has in layers that are gone, or elsewhere, by now. Nobody waits for it.
  private func leaveThoseOfBefore() {
    let gone = states.withLock { states in
      for index in states.indices { states[index].closeReceivers() }
      defer { states = [] }
      return states.compactMap(\.remains)
    }
    let left = leftBefore.withLock { left in
      defer { left = [] }
      return left
    }
    for remains in gone + left { begin(withdrawals.expect(remains)) }
  }

  // MARK: - All of them

  var all: [any LayerBackend] { state.withLock { $0.entries.map(\.layer) } }

  /// The layers that other processes may use as well.
  var shared: [any LayerBackend] { all.filter(\.isShared) }

  private static func each(
    _ layers: [any LayerBackend], _ work: @escaping @Sendable (any LayerBackend) async -> Void
  ) async {
    await withDiscardingTaskGroup { tasks in
      for layer in layers { tasks.addTask { await work(layer) } }
    }
  }

  /// Registers the workers, before layers are added.
  func connect(to workers: [Mailbox<WorkerMessage>]) {
    state.withLock { $0.workers = workers }
  }

  /// Starts those that do not run yet, until `stop`. Every worker has its ends of them.
  func run() {
    leaveThoseOfBefore()
    state.withLock { state in
      guard !state.isStopped else { return }
      for index in state.entries.indices where state.entries[index].task == nil {
        let layer = state.entries[index].layer
        state.entries[index].task = Task { await layer.run() }
      }
    }
  }

  /// Connects to every layer at the same time, and checks the rights of the user.
  ///
  /// - Returns: a sentence for each layer with a problem.
  func firstConnection() async -> [String] {
    await withTaskGroup { tasks in
      for layer in all {
        tasks.addTask {
          await layer.firstConnection().map { "channel layer \"\(layer.alias)\": \($0.text); \($0.hint)" }
        }
      }
      return await tasks.reduce(into: []) { if let failure = $1 { $0.append(failure) } }.sorted()
    }
  }

  /// Waits until the reached layers are available, so that the first client finds them ready.
  func settle(_ layers: [any LayerBackend]? = nil, within time: Duration) async {
    await Self.each(layers ?? all) { await $0.settle(within: time) }
  }

  /// Posts to the reactors what would be told to members in a moment.
  func tellAll() { for layer in all { layer.tellAll() } }

  /// What the process that takes this one's place needs of them.
  ///
  /// - Parameters:
  ///   - served: the others only wait for the end of sessions whose routes are gone, which that process closes.
  ///   - end: by when what was published here is to be sent. They receive nothing from here on, until `goOn`. Nil where they go on.
  func states(of served: ServedLayers, heldBy end: ContinuousClock.Instant? = nil) async -> [LayerState] {
    var states: [LayerState] = []
    for layer in served.all {
      if let end {
        await Self.settle(layer, by: end)
        await layer.hold()
        // Also what was received before.
        await Self.settle(layer, by: end)
      }
      var state = await layer.state()
      state.place = configuration(of: layer)?.place ?? ""
      states.append(state)
    }
    return states
  }

  /// Waits until all that was published here is sent, or the time is over, or nobody needs to know any more.
  func settleOutgoing(within time: Duration, unless isGivenUp: @escaping @Sendable () -> Bool) async {
    let end = ContinuousClock.now + time
    await Self.each(all) { await Self.settle($0, by: end, unless: isGivenUp) }
  }

  private static func settle(
    _ layer: any LayerBackend, by end: ContinuousClock.Instant,
    unless isGivenUp: @Sendable () -> Bool = { false }
  ) async {
    while ContinuousClock.now < end, !isGivenUp(), await !layer.isSettled {
      try? await Task.sleep(for: .milliseconds(1))
    }
  }

  /// The name of a layer with something that was published here and is not sent; nil where there is none.
  func unsettled(of served: ServedLayers) async -> String? {
    for layer in served.all where await !layer.isSettled { return layer.alias }
    return nil
  }

  private func configuration(of layer: any LayerBackend) -> ChannelLayerConfiguration? {
    state.withLock { $0.entries.first { $0.layer === layer }?.configuration }
  }

  /// Fetches nothing more for now that would be lost with this process.
  func pause() async { await Self.each(all) { await $0.pause() } }

  func goOn() async { await Self.each(all) { await $0.goOn() } }

  /// Removes this process from the layers, within the given time, and waits for their end.
  func stop(within time: Duration) async {
    let entries = state.withLock { state in
      state.isStopped = true
      return state.entries
    }
    await withDiscardingTaskGroup { tasks in
      tasks.addTask { await self.withdrawals.finish(within: time) }
      await Self.each(entries.map(\.layer)) { await $0.stop(within: time) }
    }
    for entry in entries { await entry.task?.value }
  }

  func shutDown() async throws { try await state.withLock(\.group)?.shutdownGracefully() }
}

extension LayerState {
  /// Whether a layer of the same name is the same one.
  func goesOn(in layer: ChannelLayerConfiguration) -> Bool {
    place.isEmpty || place == layer.place
  }
}

extension ApplicationConfiguration {
  /// The features of a layer that the routes use besides events.
  package func uses(ofLayer alias: String) -> LayerUses {
    LayerUses(
      history: !histories(on: alias).isEmpty, presence: uses(.presence, on: alias),
      orders: uses(.timedOrders, on: alias), records: uses(.records, on: alias))
  }
}
