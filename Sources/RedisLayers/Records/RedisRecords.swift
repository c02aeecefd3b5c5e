import ChannelLayers
import GatewayConfig
import Logging
import NIOCore
import NIOPosix
import RedisClient
import Synchronization

/// The records of a Redis layer's sessions. Each is on the server that its address leads to.
final class RedisRecords: SessionRecords {
  /// Who makes the records, for all servers.
  final class Owner: Sendable {
    private struct Held: Sendable {
      weak var owner: (any SessionRecordsOwner)?
      weak var records: (any SessionRecords)?
    }

    private let held = Mutex(Held())

    var owner: (any SessionRecordsOwner)? { held.withLock { $0.owner } }

    func set(_ owner: any SessionRecordsOwner, _ records: any SessionRecords) {
      held.withLock { $0 = Held(owner: owner, records: records) }
    }

    func take(_ taken: [TakenRecord]) {
      let held = held.withLock { $0 }
      if let records = held.records { held.owner?.take(taken, from: records) }
    }
  }

  private let owner = Owner()
  private let links: [RedisRecordsLink]
  private let availability: ShardAvailability

  /// - Parameter states: of the process that this one goes on for, by server.
  init(
    alias: String, _ configuration: RedisLayerConfiguration, as identity: RecordsIdentity = RecordsIdentity(),
    reaching servers: [RedisAccess]? = nil, resuming states: [RecordLots] = [],
    on group: MultiThreadedEventLoopGroup, log: Logger, clock: RedisClock = .system
  ) {
    let loop = group.next()
    let availability = ShardAvailability(count: configuration.hosts.count)
    self.availability = availability
    links = (servers ?? configuration.accesses).enumerated().map { [owner] shard, server in
      RedisRecordsLink(
        alias: alias, connector: RedisConnector(server, eventLoop: loop), prefix: configuration.prefix,
        identity: identity, resuming: states.count == configuration.hosts.count ? states[shard] : nil,
        keys: configuration.encryptionKeys, owner: owner, log: log, clock: clock
      ) { _ = availability.set(shard, isUp: $0) }
    }
  }

  /// The name of this process, on all servers.
  var id: String { links.first?.id ?? "" }

  /// Whether records can be kept on every server.
  var isAvailable: Bool { availability.isComplete }

  private func link(of address: String) -> RedisRecordsLink {
    links[Shard.index(of: address, count: links.count)]
  }

  func connect(to owner: any SessionRecordsOwner) { self.owner.set(owner, self) }

  func keep(_ record: KeptRecord, _ kept: (@Sendable (Bool) -> Void)?) {
    link(of: record.address).request(.keep(record, kept))
  }

  func drop(_ address: String) { link(of: address).request(.drop(address)) }
  func park(_ address: String) { link(of: address).request(.park(address)) }

  func rename(_ kind: String, to new: String) {
    for link in links { link.request(.rename(kind, to: new)) }
  }

  func begin(_ place: TakenRecord.Place, _ begun: @escaping @Sendable (TakenRecord.Beginning) -> Void) {
    link(of: place.address).request(.begin(place, begun))
  }

  func finish(_ place: TakenRecord.Place) { link(of: place.address).request(.finish(place)) }

  // MARK: - Handing over

  /// Takes nothing over from other processes, until `goOn`.
  func pause() async { for link in links { await link.pause() } }
  func goOn() async { for link in links { await link.goOn() } }

  /// Whether nothing is left to write.
  var isSettled: Bool {
    get async {
      for link in links where await !link.isSettled { return false }
      return true
    }
  }

  var handed: [RecordLots] {
    get async {
      var handed: [RecordLots] = []
      for link in links { handed.append(await link.handed) }
      return handed
    }
  }

  // MARK: - Life

  func run() async {
    await withDiscardingTaskGroup { tasks in
      for link in links { tasks.addTask { await link.run() } }
    }
  }

  /// Waits until every server is up, one has failed, or the time is over.
  func waitUntilAvailable(within time: Duration) async {
    await withDiscardingTaskGroup { tasks in
      for (shard, link) in links.enumerated() {
        tasks.addTask { [availability] in await link.settle(shard, availability, within: time) }
      }
    }
  }

  /// Writes what is left to write, and ends `run`. Records of sessions whose views were not told of their ends stay, for other
  /// processes.
  func stop(within time: Duration) async {
    await withDiscardingTaskGroup { tasks in
      for link in links { tasks.addTask { await link.stop(within: time) } }
    }
  }
}
