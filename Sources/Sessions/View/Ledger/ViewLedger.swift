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
    var sessions = NotedSessions()
    /// Whether records of ends wait in a layer because there was no room for them.
    var hasParked = false
    /// Of the last session.
    var captures: Captures?
  }

  private struct State {
    var places: [String: Place] = [:]
    var workers: [Worker] = []
    var waiting = WaitingEnds()
    var lostEnds = 0
    /// Of a stop, by route: messages that it has dropped, and of how many sessions.
    var dropped: [String: (messages: Int, sessions: Int)] = [:]
    var untoldEnds = 0

    func worker(of route: String) -> Worker? {
      let number = ViewLedger.worker(of: route, among: workers.count)
      return workers.indices.contains(number) ? workers[number] : nil
    }
  }

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
        if place.isServed { continue }
        if place.sessions.isEmpty, !place.hasParked, !state.waiting.has(name) { state.places[name] = nil }
      }
      for name in Array(state.places.keys) {
        state.places[name]?.isServed = false
      }
      for route in viewed {
        if let old = state.places[route.name]?.route, old.recordKind != route.recordKind,
          let records = old.keptRecords, records === route.keptRecords
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
  fileprivate static func worker(of route: String, among count: Int) -> Int {
    Int(UInt(bitPattern: route.hashValue) % UInt(max(count, 1)))
  }

  /// The sessions on a route that have not ended, and where its view can be asked about all of them.
  func presence(on route: SessionRoute) -> (addresses: [String], target: String) {
    let (addresses, captures) = state.withLock { state in
      let place = state.places[route.name]
      return (place?.sessions.addresses ?? [], place?.captures)
    }
    let target = captures.flatMap { route.target(for: $0) }
    return (addresses, target ?? route.configuration.consumer.view?.exampleTarget ?? "/")
  }

  func route(named name: String) -> SessionRoute? {
    state.withLock { $0.places[name]?.route }
  }

  // MARK: - Sessions

  package func enter(_ record: ViewRecord, _ noted: @escaping @Sendable (Bool) -> Void) {
    let route = state.withLock { state in
      let route = state.places[record.route]?.route
      _ = state.places[record.route]?.sessions.move(record.address, to: route?.keptRecords)
      state.places[record.route]?.captures = record.captures
      return route
    }
    guard let route, let records = route.keptRecords else { return noted(true) }
    records.keep(.init(address: record.address, kind: route.recordKind, content: OpenRecord(record: record)))
    {
      [weak self] isKept in
      if !isKept { self?.remove(record) }
      noted(isKept)
    }
  }

  package func change(_ record: ViewRecord) {
    keep(record, OpenRecord(record: record))
  }

  /// Keeps what is known of a session that is there where its route keeps it now, and nowhere else.
  ///
  /// - Returns: where that is.
  @discardableResult
  private func keep(_ record: ViewRecord, _ content: any RecordContent) -> (any SessionRecords)? {
    let (route, old) = state.withLock { state in
      let route = state.places[record.route]?.route
      return (
        route, state.places[record.route]?.sessions.move(record.address, to: route?.keptRecords) ?? nil
      )
    }
    old?.drop(record.address)
    guard let route, let records = route.keptRecords else { return nil }
    records.keep(.init(address: record.address, kind: route.recordKind, content: content), nil)
    return records
  }

  package func forget(_ record: ViewRecord) { remove(record)?.drop(record.address) }

  /// - Returns: where its record is.
  @discardableResult
  private func remove(_ record: ViewRecord) -> (any SessionRecords)? {
    defer { settlement.yield() }
    return state.withLock { $0.places[record.route]?.sessions.remove(record.address) ?? nil }
  }

  package func ended(_ record: ViewRecord, _ end: SessionEnd) {
    guard let route = route(named: record.route), route.asksDisconnect else { return forget(record) }
    var report = ViewReport(record: record, end: end, id: ViewQuestionID.next())
    report.origin = .own(kept: keep(record, EndedRecord(record: record, end: end, id: report.id)))
    add(report, on: route)
    // Not before it is counted there, so that a stop does not miss it.
    remove(record)
  }

  // MARK: - Ends

  func add(_ report: ViewReport, on route: SessionRoute) {
    let (worker, overfull) = state.withLock { state in
      state.waiting.add(report)
      return (state.worker(of: route.name), state.waiting.overfull.map { ($0, state.worker(of: $0)) })
    }
    worker? { $0.reports.add(report, on: route) }
    guard let (name, giver) = overfull else { return }
    giver? { $0.reports.giveUpOldest(of: name) }
  }

  /// How many ends of this process's sessions are still to be told.
  package var ownEnds: Int { state.withLock { $0.waiting.own } }

  /// Those of them that no layer keeps.
  var reportsInMemory: [ViewReport] { state.withLock { Array($0.waiting.inMemory.values) } }

  /// Whether more wait than there is room for, and most of them for this route.
  func hasTooMany(of route: String) -> Bool { state.withLock { $0.waiting.overfull == route } }

  /// A view was told, or its answer is final.
  func settled(_ report: ViewReport) {
    switch report.origin {
    case .own(let records): records?.drop(report.record.address)
    case .taken(let place, let records): records.finish(place)
    }
    told.up()
    remove(report)
  }

  /// There is nothing to be told any more.
  func remove(_ report: ViewReport) {
    state.withLock { $0.waiting.remove(report) }
    settlement.yield()
  }

  /// There is no room for it. Where its record is kept, it is read there again later.
  func gaveUp(_ report: ViewReport) {
    remove(report)
    let records: (any SessionRecords)? =
      switch report.origin {
      case .taken(_, let records): records
      case .own(let kept): kept
      }
    if let records {
      state.withLock { $0.places[report.record.route]?.hasParked = true }
      return records.park(report.record.address)
    }
    state.withLock { $0.lostEnds += 1 }
    log.log(
      "ends of sessions were forgotten: too many wait for the view", at: .error, paced: pace,
      ["route": "\(report.record.route)", "most": .number(WaitingEnds.most.count)])
  }

  // MARK: - A stop

  /// Waits until everything was told that only this process can tell, or the task is cancelled, and says what was not told.
  package func finish() async {
    let workers = state.withLock { $0.workers }
    for worker in workers { worker { $0.reports.hurry() } }
    if isWorthWaiting {
      for await _ in settlements where !isWorthWaiting { break }
    }
    tellOfUntold()
  }

  /// A report has failed: a stop may have nothing to wait for any more.
  func noteFailure() { settlement.yield() }

  /// Whether there is something to tell that a stop waits for. What is kept in a layer for the next process is not waited for while its
  /// view answers nobody; what is in memory only is.
  private var isWorthWaiting: Bool {
    let routes = state.withLock { state in
      state.places.values.filter { place in
        guard place.route.asksDisconnect else { return state.waiting.own(of: place.route.name) > 0 }
        return !place.sessions.isEmpty || state.waiting.own(of: place.route.name) > 0
      }.map { (route: $0.route, hasSessions: !$0.sessions.isEmpty) }
    }
    return routes.contains { route, hasSessions in
      let isLeftToOthers =
        route.keptRecords != nil && route.layer?.isAvailable == true && route.view?.gate.openSince != nil
      return hasSessions && route.asksDisconnect || !isLeftToOthers
    }
  }

  /// The ends that are still to be told. After the end of its connection a session has not ended for its view before everything was
  /// answered that it had sent.
  private var untoldCount: Int {
    state.withLock { state in
      state.places.values.reduce(state.waiting.own) { count, place in
        count + (place.route.asksDisconnect ? place.sessions.count : 0)
      }
    }
  }

  /// A stop has no time to ask about messages that a client has left.
  func dropped(_ messages: Int, of record: ViewRecord) {
    state.withLock { state in
      let (all, sessions) = state.dropped[record.route] ?? (0, 0)
      state.dropped[record.route] = (all + messages, sessions + 1)
    }
  }

  private func tellOfDropped() {
    for (route, count) in state.withLock({ $0.dropped }).sorted(by: { $0.key < $1.key }) {
      log.warning(
        "messages of clients that are gone were dropped: the gateway stops, and the rest of its time is for the ends of sessions",
        metadata: [
          "route": "\(route)", "messages": "\(count.messages)", "sessions": "\(count.sessions)",
          "hint": "raise shutdown.grace; batch: brings more messages in one question",
        ])
    }
  }

  private func tellOfUntold() {
    tellOfDropped()
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
    return ["ends-told": .number(told.count), "ends-not-told": .number(lost + untold)]
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

  package func room(for kind: String) -> Int {
    state.withLock { state in
      state.places.values.first { $0.route.recordKind == kind }.map {
        state.waiting.room(for: $0.route.name)
      } ?? 0
    }
  }

  package func take(_ records: [TakenRecord], from layer: any SessionRecords) {
    for record in records {
      let route = state.withLock { state in
        state.places.values.first { $0.route.recordKind == record.kind }?.route
      }
      // It went away meanwhile. The record is another process's.
      guard let route else {
        layer.park(record.place.address)
        continue
      }
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
