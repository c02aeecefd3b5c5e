import GatewayConfig
import Glibc
import JSON
import Sessions
import Synchronization
import Transport

/// The sessions of all workers, by their routes.
private struct Census: Sendable {
  var counts: [SessionCensus.Kind: Int] = [:]
  /// The workers that have answered.
  var workers: Set<Int> = []

  mutating func add(_ found: [SessionCensus.Kind: Int], of worker: Int) {
    workers.insert(worker)
    counts.merge(found, uniquingKeysWith: +)
  }
}

extension GatewayServer {
  /// How long the reactors may take to count their sessions. One that is busy for longer is named.
  private static let patience = Duration.seconds(2)

  private enum State: String {
    case starting, serving, stopping
  }

  private var state: State {
    graceEnd.time != nil ? .stopping : life.began == nil ? .starting : .serving
  }

  /// `GET /status`
  func status() async -> JSON {
    let workers = running.parts.withLock { $0?.workers } ?? []
    let census = await census(of: workers)
    let silent = workers.indices.filter { !census.workers.contains($0) }
    let counters = gateway.process.counters
    let shutdown = shutdown
    let addresses = current.sockets.withLock { $0?.addresses } ?? []
    var status = signOfLife().with([
      "listening": .array(addresses.map { .string($0.url) }),
      "hash": .string(runningHash),
      "files": .array((configuration.written?.source.files ?? []).map(\.json)),
      "served_from": .string(servedFrom),
      "uptime_seconds": life.began.map { .seconds(MonotonicTime.now.since($0.time)) } ?? .null,
      "threads": .number(gateway.process.threads),
      "connections": .number(counters.connections.count),
      "connection_limit": .number(gateway.connectionLimit),
      "grace": .string(shutdown.grace.written),
      "routes": .array(routes(census)),
    ])
    if let program = upgradeOrder.withLock({ $0?.file }) {
      status = status.with(["program": .string(program), "program_is_other": await isOther(program)])
    }
    if shutdown.delay > .zero { status = status.with(["delay": .string(shutdown.delay.written)]) }
    if !silent.isEmpty { status = status.with(["busy_reactors": .array(silent.map { .number($0) })]) }
    return status
  }

  /// Not those of plans, which may take long.
  private static let programs = FileThreads()

  /// Whether something else than what runs is at the path, which an upgrade would execute; null where it gives no answer.
  private func isOther(_ program: String) async -> JSON {
    let isOwn = try? await Self.programs.run(within: Self.patience) { disk in
      disk.reach(program) { _ in ProgramFile.ownPath(among: [program]) != nil }
    }
    return isOwn.map { .bool(!$0) } ?? .null
  }

  /// Whether what is served is what the file said last, or what was served before.
  var servedFrom: String { current.isUndone ? "previous" : "file" }

  /// `GET /progress`
  func signOfLife() -> JSON {
    var sign: JSON = [
      "version": .string(adminPlace?.version ?? ""), "pid": .number(getpid()),
      "file": .string(Disk().absolute(configuration.file.path)),
      "state": .string(state.rawValue), "sessions": .number(gateway.process.counters.sessions.count),
      "started": life.began.map { .string($0.text) } ?? .null,
      "under_way": operations.operation?.json ?? .null, "upgrades": .number(Int(clamping: upgrades)),
    ]
    if let refusal = upgradeRefusal.withLock(\.self) {
      sign = sign.with([
        "upgrade_refused": .string("\(refusal)"), "upgrade_refused_code": .string(refusal.code.rawValue),
      ])
    }
    if let end = graceEnd.time {
      sign = sign.with(["grace_left_seconds": .seconds(end.since(.now))])
    }
    return sign
  }

  private func census(of workers: [RunningParts.Worker]) async -> Census {
    guard !workers.isEmpty else { return Census() }
    let found = SharedCensus()
    let (answers, answer) = AsyncStream<Void>.makeStream()
    for (number, worker) in workers.enumerated() {
      worker.mailbox.post(
        .perform { worker in
          worker.takeCensus { counts in
            found.census.withLock { $0.add(counts, of: number) }
            answer.yield()
          }
        })
    }
    _ = await within(Self.patience) {
      for await _ in answers where found.census.withLock({ $0.workers.count }) == workers.count { return }
    }
    return found.census.withLock(\.self)
  }

  private final class SharedCensus: Sendable {
    let census = Mutex(Census())
  }

  /// The routes that have sessions, in the order of the file, and behind them those that are served no more.
  private func routes(_ census: Census) -> [JSON] {
    let application = gateway.served.application
    var counts = census.counts
    var rows: [JSON] = []
    func add(_ name: String, isStream: Bool, _ consumer: String?) {
      let count = counts.removeValue(forKey: .init(route: name, isStream: isStream)) ?? 0
      rows.append([
        "route": .string(name), "protocol": isStream ? "events" : "websocket",
        "consumer": consumer.map { .string($0) } ?? .null, "sessions": .number(count),
      ])
    }
    for route in application.webSocketRoutes {
      add(route.name, isStream: false, route.consumer.type.rawValue)
    }
    for route in application.httpRoutes where route.events != nil { add(route.name, isStream: true, nil) }
    for kind in counts.keys.sorted(by: { $0.route < $1.route }) {
      add(kind.route, isStream: kind.isStream, nil)
    }
    return rows
  }
}

extension JSON {
  /// A time in seconds, with milliseconds.
  static func seconds(_ time: Duration) -> JSON {
    .double(Double(time.wholeNanoseconds / 1_000_000) / 1000)
  }
}
