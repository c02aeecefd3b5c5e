package import ChannelLayers
import GatewayConfig
package import Logging
import Routing
import Synchronization
import Transport

/// The register of a process: which sessions views have to be told the end of, and the ends that they were not told yet.
///
/// With a layer that other processes share, a record of each session is kept there before *connect* is asked, until *disconnect* was
/// answered. The questions are asked by the workers, each route's by one of them.
package final class ViewLedger: ViewRegister {
  /// Has a worker do something.
  package typealias Worker = @Sendable (@escaping @Sendable (WorkerSessions) -> Void) -> Void

  /// What is known of the routes of one name.
  private struct Place {
    /// The last one that was served.
    var route: SessionRoute
    var isServed = true
    /// Of the sessions that have not ended.
    var addresses: Set<String> = []
    /// Where the last session's questions go.
    var target: String?
  }

  private struct State {
    var places: [String: Place] = [:]
    var workers: [Worker] = []
    var waiting = Load()
    /// Those of them that were read from a layer.
    var taken = 0
    var lostEnds = 0
    var untoldEnds = 0
  }

  /// What the ends take that wait to be told.
  struct Load: Equatable {
    var count = 0
    var bytes = 0

    mutating func add(_ report: ViewReport, sign: Int = 1) {
      count += sign
      bytes += sign * report.record.size
    }
  }

  /// The most ends that wait in memory.
  static let most = Load(count: 100_000, bytes: 256 << 20)
  /// The most of other processes.
  private static let mostTaken = 1000

  let log: Logger
  private let state = Mutex(State())
  private let pace = SharedLogPace(most: 1)
  /// Signals that an end was told, or given up.
  private let (settlements, settlement) = AsyncStream<Void>.makeStream(
    bufferingPolicy: .bufferingNewest(1))
  /// Told since the start.
  let told = Atomic<Int>(0)

  package init(log: Logger) {
    self.log = log
  }

  // MARK: - Routes and workers

  /// The routes that are served from now on. One that is gone is told what is left to tell.
  func serve(_ routes: [SessionRoute]) {
    let viewed = routes.filter { $0.configuration.consumer.view != nil }
    var moved: [(layer: any SessionRecords, from: String, to: String)] = []
    let workers = state.withLock { state in
      for (name, place) in state.places {
        // A handshake that began before may still bring a session, so a route stays for one exchange.
        if !place.isServed, place.addresses.isEmpty { state.places[name] = nil }
        state.places[name]?.isServed = false
      }
      for route in viewed {
        if let old = state.places[route.name]?.route, old.recordKind != route.recordKind,
          let records = old.keptRecords
        {
          moved.append((records, old.recordKind, route.recordKind))
        }
        state.places[route.name, default: Place(route: route)].route = route
        state.places[route.name]?.isServed = true
      }
      return state.workers
    }
    for (records, old, new) in moved { records.rename(old, to: new) }
    if !workers.isEmpty { tell(workers, of: viewed) }
  }

  /// Registers the workers by their numbers, before the first session.
  package func connect(to workers: [Worker]) {
    let routes = state.withLock { state in
      state.workers = workers
      return state.places.values.filter(\.isServed).map(\.route)
    }
    tell(workers, of: routes)
  }

  private func tell(_ workers: [Worker], of routes: [SessionRoute]) {
    for (number, worker) in workers.enumerated() {
      let own = routes.filter { Self.worker(of: $0.name, among: workers.count) == number }
      worker { $0.reports.serve(own) }
    }
  }

  /// The number of the worker that asks about the ends of a route's sessions.
  private static func worker(of route: String, among count: Int) -> Int {
    Int(UInt(bitPattern: route.hashValue) % UInt(max(count, 1)))
  }

  /// The sessions on a route that have not ended, and where its view can be asked about all of them.
  func presence(on route: SessionRoute) -> (addresses: [String], target: String) {
    let (addresses, target) = state.withLock { state in
      let place = state.places[route.name]
      return (Array(place?.addresses ?? []), place?.target)
    }
    return (addresses, target ?? route.configuration.consumer.view?.exampleTarget ?? "/")
  }

  private func route(named name: String) -> SessionRoute? {
    state.withLock { $0.places[name]?.route }
  }

  // MARK: - Sessions

  package func enter(_ record: ViewRecord, _ noted: @escaping @Sendable (Bool) -> Void) {
    let route = state.withLock { state in
      state.places[record.route]?.addresses.insert(record.address)
      state.places[record.route]?.target = record.target
      return state.places[record.route]?.route
    }
    guard let route, let records = route.keptRecords else { return noted(true) }
    records.keep(.init(address: record.address, kind: route.recordKind, content: OpenRecord(record: record)))
    {
      [weak self] isKept in
      if !isKept { self?.remove(record.address) }
      noted(isKept)
    }
  }

  package func change(_ record: ViewRecord) {
    guard let route = route(named: record.route), let records = route.keptRecords else { return }
    records.keep(
      .init(address: record.address, kind: route.recordKind, content: OpenRecord(record: record)), nil)
  }

  package func forget(_ address: String) {
    remove(address)?.keptRecords?.drop(address)
  }

  @discardableResult
  private func remove(_ address: String) -> SessionRoute? {
    defer { settlement.yield() }
    return state.withLock { state in
      for name in state.places.keys where state.places[name]?.addresses.remove(address) != nil {
        return state.places[name]?.route
      }
      return nil
    }
  }

  package func ended(_ record: ViewRecord, _ end: SessionEnd) {
    guard let route = route(named: record.route), route.asksDisconnect else {
      remove(record.address)
      return
    }
    let report = ViewReport(record: record, end: end, id: ViewQuestionID.next())
    route.keptRecords?.keep(
      .init(
        address: record.address, kind: route.recordKind,
        content: EndedRecord(record: record, end: end, id: report.id)), nil)
    add(report, on: route)
    // Not before it is counted there, so that a stop does not miss it.
    remove(record.address)
  }

  // MARK: - Ends

  private func add(_ report: ViewReport, on route: SessionRoute) {
    let (worker, isOver) = state.withLock { state in
      state.waiting.add(report)
      if case .taken = report.origin { state.taken += 1 }
      let isOver = state.waiting.count > Self.most.count || state.waiting.bytes > Self.most.bytes
      let number = Self.worker(of: route.name, among: state.workers.count)
      return (state.workers.indices.contains(number) ? state.workers[number] : nil, isOver)
    }
    worker? { $0.reports.add(report, on: route, isOver: isOver) }
  }

  /// A view was told, or its answer is final.
  func settled(_ report: ViewReport, on route: SessionRoute) {
    switch report.origin {
    case .own: route.keptRecords?.drop(report.record.address)
    case .taken(let place, let records): records.finish(place)
    }
    told.up()
    remove(report)
  }

  /// There is nothing to be told any more.
  func remove(_ report: ViewReport) {
    state.withLock { state in
      state.waiting.add(report, sign: -1)
      if case .taken = report.origin { state.taken -= 1 }
    }
    settlement.yield()
  }

  /// There is no room for it. Where its record is kept, it is read there again later.
  func gaveUp(_ report: ViewReport, on route: SessionRoute) {
    remove(report)
    switch report.origin {
    case .taken(let place, let records): return records.park(place.address)
    case .own:
      if let records = route.keptRecords { return records.park(report.record.address) }
    }
    state.withLock { $0.lostEnds += 1 }
    log.log(
      "ends of sessions were forgotten: too many wait for the view", at: .error, paced: pace,
      ["route": "\(route.name)", "most": "\(Self.most.count)"])
  }

  // MARK: - A stop

  /// Waits until everything was told, or the time is over, and says what was not.
  package func finish(within time: Duration) async {
    let workers = state.withLock { $0.workers }
    for worker in workers { worker { $0.reports.hurry() } }
    if untoldCount > 0 {
      _ = await within(time) { [self] in
        for await _ in settlements where untoldCount == 0 { return }
      }
    }
    tellOfUntold()
  }

  /// The ends that are still to be told. After the end of its connection a session has not ended for its view before everything was
  /// answered that it had sent.
  private var untoldCount: Int {
    state.withLock { state in
      state.places.values.reduce(state.waiting.count - state.taken) { count, place in
        count + (place.route.asksDisconnect ? place.addresses.count : 0)
      }
    }
  }

  private func tellOfUntold() {
    let untold = untoldCount
    guard untold > 0 else { return }
    state.withLock { $0.untoldEnds = untold }
    let isKept = state.withLock { state in
      state.places.values.allSatisfy { !$0.route.asksDisconnect || $0.route.keptRecords != nil }
    }
    if isKept {
      log.notice(
        "ends of sessions are left for another process to tell their views", metadata: ["count": "\(untold)"])
    } else {
      log.warning(
        "views were not told the ends of sessions in time",
        metadata: [
          "count": "\(untold)",
          "hint": "raise shutdown.grace, or use a channel layer in Redis, where another process tells them",
        ])
    }
  }

  /// For the last line of the log; empty where no view is told of ends.
  package var summary: Logger.Metadata {
    let (lost, untold) = state.withLock { ($0.lostEnds, $0.untoldEnds) }
    guard told.count + lost + untold > 0 else { return [:] }
    return ["ends-told": "\(told.count)", "ends-not-told": "\(lost + untold)"]
  }
}

// MARK: - Records of other processes

extension ViewLedger: SessionRecordsOwner {
  package var kinds: Set<String> {
    state.withLock { state in
      Set(
        state.places.values.filter { $0.isServed && $0.route.keptRecords != nil }.map(\.route.recordKind))
    }
  }

  package var room: Int { state.withLock { max(0, Self.mostTaken - $0.taken) } }

  package func take(_ records: [TakenRecord], from layer: any SessionRecords) {
    for record in records {
      let route = state.withLock { state in
        state.places.values.first { $0.route.recordKind == record.kind }?.route
      }
      guard let route else { continue }
      do throws(RecordFault) {
        let found = try FoundRecord(record, on: route)
        add(
          ViewReport(
            record: found.record, end: found.end, id: found.id ?? ViewQuestionID.next(),
            origin: .taken(record.place, of: layer)), on: route)
      } catch {
        log.log(
          "a session's record in the channel layer cannot be read, and is removed from it", at: .warning,
          paced: pace, ["route": "\(route.name)", "reason": "\(error)"])
        layer.finish(record.place)
      }
    }
  }

  package func wereTaken(_ addresses: [String]) {
    let all = Set(addresses)
    for worker in state.withLock({ $0.workers }) { worker { $0.connectAgain(all) } }
  }
}

extension ViewConfiguration {
  /// Where a question about no session can go: most converters of paths admit a zero.
  fileprivate var exampleTarget: String? {
    question.target(for: Captures(question.places.map { .init(name: $0, value: "0") }), long: longCaptures)
  }
}

extension SessionRoute {
  /// Whether its view is told the ends of its sessions.
  var asksDisconnect: Bool { configuration.consumer.view?.on.contains(.disconnect) == true }

  /// Where records of its sessions are kept; nil where none are.
  var keptRecords: (any SessionRecords)? { asksDisconnect ? layer?.records : nil }
}
