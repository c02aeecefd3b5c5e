import LayerTestSupport
import NIOCore
import NIOPosix
import Synchronization
import TestSupport

@testable import RedisClient

/// What a script was run with.
struct ScriptRun: Sendable {
  var keys: [String]
  var values: [[UInt8]]

  var arguments: [String] { values.map { String(decoding: $0, as: UTF8.self) } }
}

/// A Redis on a Unix socket. Tests answer its scripts; it confirms subscriptions, and delivers what is published.
final class ScriptedRedis: Sendable {
  typealias Answer = @Sendable (ScriptRun, ScriptedRedis) -> RESPValue

  private let folder: TemporaryFolder
  private let listener: any Channel
  private let clients: Clients

  fileprivate final class Clients: Sendable {
    let all = Mutex<[ObjectIdentifier: (channel: any Channel, names: Set<String>)]>([:])
  }

  init(_ answer: @escaping Answer) async throws {
    folder = try TemporaryFolder()
    let clients = Clients()
    self.clients = clients
    let owner = Owner()
    listener = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let handler = ScriptedClient(clients) { run in owner.redis.map { answer(run, $0) } ?? .null }
          try channel.pipeline.syncOperations.addHandler(handler)
        }
      }.bind(unixDomainSocketPath: folder.path("s")).get()
    owner.set(self)
  }

  deinit {
    listener.close(promise: nil)
    cut()
  }

  var path: String { folder.path("s") }

  func publish(_ payload: [UInt8], to name: String) {
    let receivers = clients.all.withLock { $0.values.filter { $0.names.contains(name) }.map(\.channel) }
    let message = RESPValue.array([.text("message"), .text(name), .bulkString(payload)])
    for receiver in receivers { receiver.write(message) }
  }

  /// Ends all connections.
  func cut() {
    for client in clients.all.withLock({ $0.values.map(\.channel) }) { client.close(promise: nil) }
  }
}

/// Ends the circle between a server and its handlers.
private final class Owner: Sendable {
  private struct Weak: Sendable {
    weak var redis: ScriptedRedis?
  }

  private let held = Mutex(Weak())

  func set(_ redis: ScriptedRedis) { held.withLock { $0.redis = redis } }
  var redis: ScriptedRedis? { held.withLock { $0.redis } }
}

private final class ScriptedClient: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  private let clients: ScriptedRedis.Clients
  private let answer: (ScriptRun) -> RESPValue
  private var decoder = RESPDecoder()

  init(_ clients: ScriptedRedis.Clients, _ answer: @escaping (ScriptRun) -> RESPValue) {
    self.clients = clients
    self.answer = answer
  }

  func channelActive(context: ChannelHandlerContext) {
    let channel = context.channel
    clients.all.withLock { $0[ObjectIdentifier(channel)] = (channel, []) }
  }

  func channelInactive(context: ChannelHandlerContext) {
    _ = clients.all.withLock { $0.removeValue(forKey: ObjectIdentifier(context.channel)) }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    decoder.append(unwrapInboundIn(data).readableBytesView)
    while case .array(let words)? = try? decoder.next() {
      handle(
        words.map { if case .bulkString(let bytes) = $0 { bytes } else { [] } }, context.channel)
    }
  }

  private func handle(_ words: [[UInt8]], _ channel: any Channel) {
    let texts = words.map { String(decoding: $0, as: UTF8.self) }
    switch texts[0] {
    case "SUBSCRIBE", "UNSUBSCRIBE":
      for name in texts.dropFirst() {
        clients.all.withLock { all in
          if texts[0] == "SUBSCRIBE" {
            all[ObjectIdentifier(channel)]?.names.insert(name)
          } else {
            all[ObjectIdentifier(channel)]?.names.remove(name)
          }
        }
        channel.write(.array([.text(texts[0].lowercased()), .text(name), .integer(1)]))
      }
    case "EVALSHA": channel.write(.error("NOSCRIPT it is not known"))
    case "EVAL":
      let count = Int(texts[2]) ?? 0
      channel.write(
        answer(ScriptRun(keys: Array(texts[3..<3 + count]), values: Array(words[(3 + count)...]))))
    default: channel.write(.simpleString(Array("OK".utf8)))
    }
  }
}

extension Channel {
  fileprivate func write(_ value: RESPValue) {
    writeAndFlush(ByteBuffer(bytes: value.written), promise: nil)
  }
}

extension RESPValue {
  static func text(_ text: String) -> RESPValue { .bulkString(Array(text.utf8)) }

  /// The bytes that Redis sends for it.
  fileprivate var written: [UInt8] {
    switch self {
    case .simpleString(let bytes): Array("+".utf8) + bytes + Array("\r\n".utf8)
    case .error(let message): Array("-\(message)\r\n".utf8)
    case .integer(let number): Array(":\(number)\r\n".utf8)
    case .bulkString(let bytes): Array("$\(bytes.count)\r\n".utf8) + bytes + Array("\r\n".utf8)
    case .array(let values): Array("*\(values.count)\r\n".utf8) + values.flatMap(\.written)
    case .oversized, .null: Array("$-1\r\n".utf8)
    }
  }
}

/// Waits until something has happened in another task. Attempts are counted, and not time.
func until(_ condition: () async -> Bool) async -> Bool {
  for _ in 0..<50_000 {
    if await condition() { return true }
    try? await Task.sleep(for: .milliseconds(1))
  }
  return false
}

extension FakeClock {
  /// The next wait that is this long.
  func nap(of duration: Duration) async -> Nap? { await nap { $0 == duration } }

  /// The next wait before an attempt to connect, which is shorter than the time between two beats.
  func pause() async -> Nap? { await nap { $0 < .seconds(1) } }

  private func nap(_ isMeant: (Duration) -> Bool) async -> Nap? {
    while let nap = await nap() {
      if isMeant(nap.duration) { return nap }
    }
    return nil
  }
}
