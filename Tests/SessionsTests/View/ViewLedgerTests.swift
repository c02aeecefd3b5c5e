import Bytes
import ChannelLayers
import GatewayConfig
import Glibc
import JSON
import LayerTestSupport
import NIOPosix
import Routing
import Synchronization
import TestSupport
import Testing
import Transport

@testable import Sessions

/// Notes what a layer is asked to keep.
final class NotedRecords: SessionRecords {
  struct State {
    var steps: [String] = []
    var isAvailable = true
    var contents: [String: [UInt8]] = [:]
  }

  let state = Mutex(State())

  var steps: [String] { state.withLock { $0.steps } }

  private func note(_ step: String) { state.withLock { $0.steps.append(step) } }

  func connect(to owner: any SessionRecordsOwner) {}

  func keep(_ record: KeptRecord, _ kept: (@Sendable (Bool) -> Void)?) {
    note("keep \(record.address)")
    state.withLock { $0.contents[record.address] = record.content.encoded() }
    kept?(state.withLock { $0.isAvailable })
  }

  func drop(_ address: String) { note("drop \(address)") }
  func park(_ address: String) { note("park \(address)") }
  func rename(_ kind: String, to new: String) { note("rename") }

  func begin(_ place: TakenRecord.Place, _ begun: @escaping @Sendable (TakenRecord.Beginning) -> Void) {
    note("begin \(place.address)")
    begun(.begun)
  }

  func finish(_ place: TakenRecord.Place) { note("finish \(place.address)") }
}

/// A layer of this process that keeps records.
final class NotingBackend: LayerBackend {
  let noted = NotedRecords()
  private let hasRecords: Bool
  private let memory = MemoryBackend(alias: "default", history: nil, hasPresence: false)

  init(hasRecords: Bool = true) { self.hasRecords = hasRecords }

  var alias: String { "default" }
  var isShared: Bool { true }
  var isAvailable: Bool { true }
  var hasPresence: Bool { false }
  var records: (any SessionRecords)? { hasRecords ? noted : nil }

  func end(on reactor: Reactor, number: Int) -> LayerEnd { memory.end(on: reactor, number: number) }
  func firstConnection() async -> LayerFailure? { nil }
  func run() async {}
  func settle(within time: Duration) async {}
  func stop(within time: Duration) async {}
  func presence(in group: String) async -> PresenceList? { nil }
  func keep(_ order: KeptOrder) async -> Bool { false }
  func forget(orders subjects: [String]) async -> Bool { false }
  func keptOrders() async -> [KeptOrder]? { nil }
}

private struct OneFile: FileAccess {
  let text: String

  func contents(of path: String, as use: FileUse) -> Result<[UInt8], FileFault> { .success(Array(text.utf8)) }
  func isDirectory(_ path: String) -> Bool { false }
  func names(in directory: String) -> [String] { [] }
  func isReadableByAll(_ path: String) -> Bool { false }
  func absolute(_ path: String) -> String { "/" + path }
}

private final class Counts: Sendable {
  let kept = Mutex<[Bool]>([])
  let posted = Atomic(0)
}

struct ViewLedgerTests {
  private let layer = NotingBackend()
  private let lines = LogLines()
  private let ledger: ViewLedger
  private let counts = Counts()

  private static let file = """
    installed_apps: [view]
    channel_layers: {default: {backend: memory}}
    applications:
      main:
        websocket:
          - {name: room, path: "ws/<int:room>/", consumer: view, url: "http://127.0.0.1:1/ws/{room}/", secret: {env: KEY}, group: "chat_{room}", on: [connect, disconnect]}
          - {name: quiet, path: "quiet/", consumer: view, url: "http://127.0.0.1:1/quiet/", secret: {env: KEY}, on: [connect]}
    """

  init() throws {
    ledger = ViewLedger(log: lines.log)
    ledger.serve(try routes(Self.file))
    ledger.connect(to: [{ [counts] _ in _ = counts.posted.up() }])
    counts.posted.store(0, ordering: .relaxed)
  }

  /// - Parameter layer: nil for the one that keeps records.
  private func routes(_ file: String, on layer: NotingBackend? = nil) throws -> [SessionRoute] {
    let loaded = ConfigurationLoader.load(
      path: "routes.yaml", environment: ["KEY": String(repeating: "k", count: 64)],
      files: OneFile(text: file))
    return try #require(loaded.configuration).served.webSocketRoutes.map { route in
      let view = route.consumer.view.map {
        RouteView($0, of: route.name, failures: UpstreamFailures(log: .quiet), log: .quiet)
      }
      return SessionRoute(route, ServedLayers([layer ?? self.layer]), view: view, log: .quiet)
    }
  }

  private func record(_ address: String, route: String = "room") -> ViewRecord {
    ViewRecord(
      address: address, route: route, target: route == "room" ? "/ws/7/" : "/quiet/", path: "/ws/7/",
      query: "a=1&b=é", captures: Captures([.init(name: "room", value: "7")]), host: "example.org:8000",
      client: "2001:db8::1", isSecure: true, user: "ann \"x\"",
      claims: .object([.init(key: "role", value: .string("admin"))]), groups: ["chat_7", "user_1"],
      named: ["chat_7"], state: Array(#"{"n": [1, 2.50]}"#.utf8), since: 1000.5)
  }

  private func enter(_ record: ViewRecord) -> Bool? {
    ledger.enter(record) { [counts] isKept in counts.kept.withLock { $0.append(isKept) } }
    return counts.kept.withLock { $0.popLast() }
  }

  @Test func `a session is noted in the layer before its connect is asked, and its changes after it`() {
    #expect(enter(record("a")) == true)
    ledger.change(record("a"))
    #expect(layer.noted.steps == ["keep a", "keep a"])
    ledger.forget(record("a"))
    #expect(layer.noted.steps.last == "drop a")
    #expect(counts.posted.count == 0)
  }

  @Test func `where it cannot be noted it is refused, and forgotten`() throws {
    layer.noted.state.withLock { $0.isAvailable = false }
    #expect(enter(record("a")) == false)
    #expect(ledger.presence(on: try routes(Self.file)[0]).addresses == [])
  }

  @Test func `a view that is not told of ends needs nothing of the layer`() {
    #expect(enter(record("a", route: "quiet")) == true)
    ledger.change(record("a", route: "quiet"))
    ledger.ended(record("a", route: "quiet"), SessionEnd(code: 1000, reason: "", duration: 1))
    #expect(layer.noted.steps == [] && counts.posted.count == 0)
  }

  @Test func `an end is kept until the view was told`() throws {
    #expect(enter(record("a")) == true)
    ledger.ended(record("a"), SessionEnd(code: 1001, reason: "bye", duration: 2))
    #expect(layer.noted.steps == ["keep a", "keep a"] && counts.posted.count == 1)
    ledger.settled(
      ViewReport(
        record: record("a"), end: SessionEnd(code: 1001, reason: "bye", duration: 2), id: "x",
        origin: .own(kept: layer.noted)))
    #expect(layer.noted.steps.last == "drop a")
  }

  @Test func `who is there is known until the end, and where to ask about it`() throws {
    let route = try routes(Self.file)[0]
    #expect(ledger.presence(on: route).target == "/ws/0/")
    for address in ["a", "b", "c"] { _ = enter(record(address)) }
    ledger.forget(record("a"))
    ledger.ended(record("b"), SessionEnd(code: 1001, reason: "bye", duration: 2))
    #expect(ledger.presence(on: route).addresses == ["c"])
    #expect(ledger.presence(on: route).target == "/ws/7/")
  }

  @Test func `a list of addresses is cut, and an empty one is one question`() {
    let many = ViewQuestion.Presence.parts(of: (0..<2500).map { "\($0)" }, every: .seconds(60))
    #expect(many.map(\.addresses.count) == [1000, 1000, 500])
    #expect(many.map(\.part) == [1, 2, 3] && many.allSatisfy { $0.parts == 3 && $0.interval == 60 })
    #expect(
      ViewQuestion.Presence.parts(of: [], every: .seconds(1))
        == [.init(addresses: [], part: 1, parts: 1, interval: 1)])
  }

  @Test func `a route that a reload has removed still tells what is left`() throws {
    _ = enter(record("a"))
    ledger.serve([])
    #expect(ledger.kinds == [])
    ledger.ended(record("a"), SessionEnd(code: 1012, reason: "", duration: 2))
    #expect(layer.noted.steps == ["keep a", "keep a"] && counts.posted.count > 0)
  }

  @Test func `a route that asks at another place brings its records along`() throws {
    let old = ledger.kinds
    ledger.serve(try routes(Self.file.replacing("127.0.0.1:1/ws", with: "127.0.0.1:2/new")))
    #expect(layer.noted.steps == ["rename"] && ledger.kinds.count == 1 && ledger.kinds != old)
  }

  @Test func `a route that speaks another protocol brings its records along`() throws {
    let old = ledger.kinds
    ledger.serve(
      try routes(Self.file.replacing("{name: room,", with: "{name: room, protocol: websocket-over-http,")))
    #expect(layer.noted.steps == ["rename"] && ledger.kinds.count == 1 && ledger.kinds != old)
  }

  @Test func `after a reload everything is asked where the route leads now`() throws {
    _ = enter(record("a"))
    let report = ViewReport(
      record: record("a"), end: SessionEnd(code: 1000, reason: "", duration: 1), id: "x")
    let new = try routes(Self.file.replacing("127.0.0.1:1/ws/", with: "127.0.0.1:2/v2/"))
    ledger.serve(new)
    #expect(report.question(on: new[0]).place.target == "/v2/7/")
    #expect(ledger.presence(on: new[0]).target == "/v2/7/")
  }

  @Test func `a record is dropped where it was kept, whatever a reload has made of the route`() throws {
    for address in ["a", "b"] { _ = enter(record(address)) }
    ledger.serve(try routes(Self.file.replacing("on: [connect, disconnect]", with: "on: [connect]")))
    ledger.change(record("a"))
    #expect(layer.noted.steps == ["keep a", "keep b", "drop a"])
    ledger.ended(record("b"), SessionEnd(code: 1000, reason: "", duration: 1))
    #expect(layer.noted.steps.last == "drop b" && counts.posted.count > 0)
    ledger.forget(record("a"))
    #expect(layer.noted.steps.count == 4)
  }

  @Test func `a record moves with its route to another layer`() throws {
    _ = enter(record("a"))
    let other = NotingBackend()
    ledger.serve(try routes(Self.file, on: other))
    ledger.ended(record("a"), SessionEnd(code: 1000, reason: "", duration: 1))
    #expect(layer.noted.steps == ["keep a", "drop a"] && other.noted.steps == ["keep a"])
  }

  @Test func `a session ends in a time that does not depend on the others`() {
    let records = (0..<20_000).map { record("\($0)", route: "quiet") }
    for record in records { ledger.enter(record) { _ in } }
    var (begun, ended) = (timespec(), timespec())
    unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begun)
    for record in records { ledger.forget(record) }
    unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ended)
    // To copy all of them for each one takes ten.
    #expect(ended.tv_sec - begun.tv_sec < 3)
  }

  @Test func `the route with most ends gives up its oldest when too many wait`() {
    var (waiting, large) = (WaitingEnds(), record("a"))
    large.state = [UInt8](repeating: 0, count: 32 << 20)
    let end = SessionEnd(code: 1000, reason: "", duration: 1)
    let dead = ViewReport(record: large, end: end, id: "x")
    for _ in 0..<7 { waiting.add(dead) }
    #expect(waiting.overfull == nil && waiting.room(for: "room") == WaitingEnds.mostTaken)
    waiting.add(dead)
    let other = ViewReport(
      record: record("b", route: "quiet"), end: end, id: "y",
      origin: .taken(.init(lot: "l", address: "b"), of: layer.noted))
    waiting.add(other)
    #expect(waiting.overfull == "room" && waiting.room(for: "room") == 0)
    #expect(waiting.room(for: "quiet") == WaitingEnds.mostTaken - 1)
    #expect(waiting.own == 8 && waiting.own(of: "room") == 8 && waiting.own(of: "quiet") == 0)
    waiting.remove(dead)
    #expect(waiting.overfull == nil)
    waiting.remove(other)
    #expect(!waiting.has("quiet") && waiting.total.count == 7)
  }

  /// Five questions have failed.
  private func failAll(of route: SessionRoute) {
    for ticket in 0..<5 {
      let entry = ViewQueue.Entry(
        id: .init(worker: 0, ticket: ticket), lane: .clients, asker: "", isRefusable: false)
      _ = route.view?.gate.enter(entry, at: .now)
      _ = route.view?.gate.leave(entry.id, .clients, .failed, at: .now)
    }
  }

  @Test(.timeLimit(.minutes(1)))
  func `a stop leaves what is kept to others where the view answers nobody`() async throws {
    let routes = try routes(Self.file)
    ledger.serve(routes)
    _ = enter(record("a"))
    ledger.ended(record("a"), SessionEnd(code: 1001, reason: "", duration: 1))
    failAll(of: routes[0])
    await ledger.finish()
    #expect(lines.all.contains { $0.contains("are left for another process") })
  }

  @Test func `an end that no layer keeps is told by the next program in the process`() throws {
    ledger.serve(try routes(Self.file, on: NotingBackend(hasRecords: false)))
    _ = enter(record("a"))
    ledger.ended(record("a"), SessionEnd(code: 4001, reason: "bye", duration: 1.5))
    let own = try #require(ledger.reportsInMemory.first)
    var writer = RecordWriter()
    for end in ledger.handedEnds { end.write(to: &writer) }
    let ends: [EndState] = [try RecordReader.read(writer.bytes[...])]
    let next = ViewLedger(log: lines.log)
    #expect(next.resume(ends) == 1)
    next.serve(try routes(Self.file, on: NotingBackend(hasRecords: false)))
    next.connect(to: [{ [counts] _ in _ = counts.posted.up() }])
    counts.posted.store(0, ordering: .relaxed)
    #expect(next.resume(ends) == 0)
    let taken = try #require(next.reportsInMemory.first)
    #expect(next.ownEnds == 1 && counts.posted.count == 1)
    #expect((taken.id, taken.end, taken.record.address) == (own.id, own.end, "a"))
    next.remove(taken)
    #expect(next.handedEnds.isEmpty && next.ownEnds == 0)
  }

  @Test func `an end that a layer keeps is read there by the next program`() {
    _ = enter(record("a"))
    ledger.ended(record("a"), SessionEnd(code: 1000, reason: "", duration: 1))
    #expect(ledger.ownEnds == 1 && ledger.handedEnds.isEmpty)
  }

  @Test func `a stop waits for a view that answers nobody where nobody else can tell it`() async throws {
    let routes = try routes(Self.file, on: NotingBackend(hasRecords: false))
    ledger.serve(routes)
    _ = enter(record("a"))
    ledger.ended(record("a"), SessionEnd(code: 1001, reason: "", duration: 1))
    failAll(of: routes[0])
    let start = MonotonicTime.now
    await within(.milliseconds(50)) { await ledger.finish() }
    #expect(MonotonicTime.now.since(start) >= .milliseconds(50))
    #expect(lines.all.contains { $0.contains("views were not told the ends of sessions in time") })
  }

  @Test func `a view publishes to the groups that its route names, also those that the session has left`()
    throws
  {
    let file = Self.file.replacing(
      "group: \"chat_{room}\"", with: "group: \"chat_{room}\", groups_from_view: [log]")
    let route = try routes(file)[0]
    var record = record("a")
    record.groups = ["user_1"]
    #expect(["chat_7", "log"].allSatisfy { route.admits($0, of: record) })
    #expect(!["user_1", "chat_8"].contains { route.admits($0, of: record) })
  }

  @Test func `a user is another asker than a client whose address is the user's name`() {
    var record = record("a")
    record.user = record.client
    #expect(record.asker != record.client)
    record.user = nil
    #expect(record.asker == record.client)
  }

  // MARK: - Records of other processes

  private func taken(_ content: [UInt8], lastSign: Double? = 1010, kind: String? = nil) -> TakenRecord {
    TakenRecord(
      place: .init(lot: "l", address: "a"), kind: kind ?? ledger.kinds.first ?? "", content: content,
      lastSign: lastSign)
  }

  private func found(_ record: TakenRecord) throws -> FoundRecord {
    try FoundRecord(record, on: try routes(Self.file)[0])
  }

  @Test func `a record comes back as it was`() throws {
    let open = try found(taken(OpenRecord(record: record("a")).encoded()))
    #expect(open.record == record("a"))
    #expect(open.end == SessionEnd(code: 1006, reason: "", duration: 9.5, isPresumed: true))
    let end = SessionEnd(code: 4001, reason: "é", duration: 3.25)
    let ended = try found(taken(EndedRecord(record: record("a"), end: end, id: "q-1").encoded()))
    #expect(ended.record == record("a") && ended.end == end && ended.id == "q-1")
    // A clock may have gone back.
    #expect(try found(taken(OpenRecord(record: record("a")).encoded(), lastSign: 10)).end.duration == 0)
  }

  @Test(arguments: [
    "", "{", "[]", "{}", "null", #"{"version":2}"#, #"{"version":1}"#, "\u{0}", "[[[[[[[[[[",
  ])
  func `rubbish is no record`(_ text: String) {
    #expect(throws: RecordFault.self) { try found(taken(Array(text.utf8))) }
  }

  @Test(arguments: [
    (#""address":"a""#, #""address":"b""#), (#""route":"room""#, #""route":"other""#),
    (#""room":"7""#, #""room":"..""#), (#""room":"7""#, #""other":"7""#),
    (#""named":["#, #""named":["sluice.control","#), (#""named":["#, #""names":["#),
    (#""host":"example.org:8000""#, #""host":"a\r\nX-User: root""#), (#""secure":true"#, #""secure":1"#),
    (#""since":1000.5"#, #""since":"now""#), (#""groups":["#, #""groups":["","#),
    (#""groups":["#, #""groups":["sluice.control","#), (#""room":"7""#, #""room":7"#),
    (#""client":"2001:db8::1""#, #""client":"1.2.3.4, 5.6.7.8""#), (#""state":"{"#, #""state":"{{"#),
  ])
  func `a record in which one thing is wrong is none`(_ right: String, _ wrong: String) {
    let text = String(decoding: OpenRecord(record: record("a")).encoded(), as: UTF8.self)
      .replacing(#"": "#, with: #"":"#).replacing(", ", with: ",")
    #expect(text.contains(right), "\(text)")
    #expect(throws: RecordFault.self) { try found(taken(Array(text.replacing(right, with: wrong).utf8))) }
  }

  @Test func `a record leads to the path of its captures, and to no groups but the route's`() throws {
    var other = record("a")
    other.target = "/admin/ HTTP/1.1"
    other.named = ["chat_7", "chat_8", "secret"]
    let found = try found(taken(OpenRecord(record: other).encoded())).record
    #expect(found.target == "/ws/7/" && found.named == ["chat_7"])
  }

  @Test func `a record that is too long is none`() {
    var record = record("a")
    record.claims = .string(String(repeating: "x", count: 1 << 20))
    #expect(throws: RecordFault.self) { try found(taken(OpenRecord(record: record).encoded())) }
    record.claims = nil
    record.state = Array((#""\#(String(repeating: "x", count: 4100))""#).utf8)
    #expect(throws: RecordFault.self) { try found(taken(OpenRecord(record: record).encoded())) }
  }

  @Test func `a record that cannot be used is removed with a line, and the next one is told`() throws {
    let kind = try #require(ledger.kinds.first)
    let room = ledger.room(for: kind)
    ledger.take(
      [taken(Array("{}".utf8)), taken(OpenRecord(record: record("a")).encoded()), taken([], kind: "other")],
      from: layer.noted)
    // The last one is of a route that went away meanwhile: other processes may have it.
    #expect(layer.noted.steps == ["finish a", "park a"])
    #expect(counts.posted.count == 1 && ledger.room(for: kind) == room - 1)
    #expect(ledger.room(for: "other") == 0)
    #expect(lines.all.contains { $0.contains("a session's record in the channel layer cannot be read") })
  }
}
