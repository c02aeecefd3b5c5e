import Bytes
import LayerTestSupport
import NIOCore
import NIOPosix
import RedisClient
import Testing

@testable import ChannelLayers
@testable import GatewayConfig
@testable import RedisLayers

struct LayerRemainsTests {
  /// With everything that it takes to get there.
  private var host: RedisHost {
    var sentinels = RedisHost.Sentinels(addresses: [
      .init(host: "one", port: 26379), .init(host: "::1", port: 1),
    ])
    sentinels.credentials.password = Secret("for sentinels")
    sentinels.connectTimeout = .milliseconds(1500)
    var host = RedisHost(.sentinel(master: "main", sentinels))
    host.database = 7
    host.credentials = .init(username: "", password: Secret(bytes: [0xFF, 0x00]))
    host.tls = .init(verifiesHostname: false, trustedCertificates: "/ca", certificate: "/c", privateKey: "/k")
    host.connectTimeout = .seconds(2)
    return host
  }

  @Test func `a record says how to get there, and nothing of it is printed`() throws {
    var configuration = RedisLayerConfiguration(layout: .pubSub)
    configuration.hosts = [host, RedisHost(.tcp(host: "h", port: 1)), RedisHost(.unix(path: "/s"))]
    (configuration.prefix, configuration.expiry, configuration.groupExpiry) = ("", .seconds(5), .seconds(600))
    var remains = LayerRemains(in: "default", configuration)
    (remains.process, remains.presence, remains.records) = ("1", "2", "3")
    var writer = RecordWriter()
    remains.write(to: &writer)
    let read = try RecordReader.read(writer.bytes[...], as: LayerRemains.self)
    #expect(read == remains)
    #expect(!"\(read)".contains("for sentinels"))
    #expect(throws: RecordedFault.self) { try RecordReader.read([], as: LayerRemains.self) }
  }

  @Test func `what goes on under a name is not left`() {
    var before = LayerRemains(in: "default", RedisLayerConfiguration(layout: .core))
    (before.process, before.presence, before.records) = ("1", "2", "3")
    var now = before
    #expect(before.without(now).isEmpty)
    (now.presence, now.records) = ("", "4")
    let left = before.without(now)
    #expect([left.process, left.presence, left.records] == ["", "2", "3"])
    #expect(before.without(nil) == before)
  }
}

@Suite(.enabled(if: LocalRedis.program != nil))
struct RedisWithdrawalTests {
  private let redis: LocalRedis
  private let connection: RedisConnection
  private let lines = LogLines()

  init() async throws {
    redis = try LocalRedis()
    connection = try await redis.connection()
  }

  private func remains(at path: String) -> LayerRemains {
    var configuration = RedisLayerConfiguration(layout: .core)
    configuration.hosts = [RedisHost(.unix(path: path))]
    var remains = LayerRemains(in: "default", configuration)
    (remains.process, remains.presence) = (RedisIdentity.newID(), RedisIdentity.newID())
    remains.records = RedisIdentity.newID()
    return remains
  }

  /// Writes what a process does that is in a group, with a user and a message that waits for it.
  private func write(_ remains: LayerRemains) async throws {
    let register = ProcessRegister(remains.configuration, id: remains.process)
    let queue = RedisIdentity.clients(remains.process)[1]
    _ = try await register.beat(on: connection)
    _ = try await connection.send([
      RESPCommand("ZADD", .init(register.key(ofGroup: "room")), "1", .init("\(queue)g1")),
      register.enter("\(queue)g1", in: "room"),
      RESPCommand("ZADD", .init("asgi\(queue)"), "1", "message"),
    ])
    let presence = PresenceRegister(prefix: "asgi", database: 0, id: remains.presence)
    _ = try await presence.beat(on: connection)
    let change = PeerChange(.all, process: remains.presence, sequence: 1, joined: [ExactText(text: "5")])
    try await presence.write(change, of: "room", on: connection)
    _ = try await RecordRegister(prefix: "asgi", id: remains.records).beat([], on: connection)
  }

  /// All keys, and what is in those that processes share.
  private func contents() async throws -> Set<String> {
    guard case .array(let keys) = try await connection.send(RESPCommand("KEYS", "*")) else { return [] }
    var found = Set(keys.compactMap(\.text))
    for command in [
      RESPCommand("ZRANGE", "asgi:group:room", "0", "-1"), RESPCommand("SMEMBERS", "asgi:sluice:processes"),
      RESPCommand("SMEMBERS", "asgi:sluice:presence:processes"),
      RESPCommand("HKEYS", "asgi:sluice:presence:group:room"),
      RESPCommand("HKEYS", "asgi:sluice:views:processes"),
    ] {
      guard case .array(let members) = try await connection.send(command) else { continue }
      found.formUnion(members.compactMap(\.text))
    }
    return found
  }

  @Test func `all that a process has written is removed, and nothing else`() async throws {
    let (other, gone) = (remains(at: redis.socket), remains(at: redis.socket))
    try await write(other)
    let expected = try await contents()
    try await write(gone)
    #expect(try await contents().count > expected.count + 8)
    await RedisWithdrawal(gone, on: .singleton, log: lines.log).run()
    #expect(try await contents() == expected)
    // What is not there any more is no fault.
    await RedisWithdrawal(gone, on: .singleton, log: lines.log).run()
    #expect(lines.all.allSatisfy { $0.hasPrefix("info what this process had") } && lines.all.count == 2)
  }

  @Test func `what is not reached in time, or refused, is told`() async throws {
    var hidden = remains(at: "/nowhere/at/all")
    await RedisWithdrawal(hidden, on: .singleton, log: lines.log).run(within: .milliseconds(50))
    #expect(
      lines.all.count == 1 && lines.all[0].hasPrefix("warning what this process had in a channel layer"))
    hidden.configuration.hosts = [RedisHost(.unix(path: redis.socket))]
    hidden.configuration.hosts[0].credentials = .init(username: "nobody", password: Secret("hidden-word"))
    await RedisWithdrawal(hidden, on: .singleton, log: lines.log).run(within: .milliseconds(500))
    #expect(lines.all.count == 2 && lines.all[1].hasPrefix("warning"))
    #expect(!lines.all.joined().contains("hidden-word"))
  }
}
