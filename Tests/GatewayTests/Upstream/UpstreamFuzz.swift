import Bytes
import Consumers
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore
import LayerTestSupport
import Logging
import NIOCore
import NIOEmbedded
import NIOPosix
import Testing
import Transport

@testable import Gateway
@testable import GatewayConfig
@testable import Routing
@testable import Sessions

/// A server behind us with its own client, used by one task.
private struct Lane {
  let server: ScriptedServer
  let kind: HostileAnswer.Kind
  let upstream: UpstreamConfiguration
  let failures = UpstreamFailures(log: .quiet)

  init(_ kind: HostileAnswer.Kind) throws {
    self.kind = kind
    server = try ScriptedServer(HostileAnswer(kind, seed: 0))
    var upstream = UpstreamConfiguration(scheme: .http, host: "127.0.0.1", port: server.port)
    upstream.readTimeout = .seconds(20)
    self.upstream = upstream
  }
}

private struct Collector: ResponseBodyWriter {
  mutating func write(_ buffer: ByteBuffer) async throws {}
  consuming func finish(_ trailingHeaders: HTTPFields?) async throws {}
}

/// Asks servers of three kinds, each of several at a time.
///
/// - Parameter rounds: answers of each kind.
func askAll(rounds: Int, lanesOfEach: Int, _ seeds: SeedFile) async throws {
  let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
  try await withThrowingTaskGroup { tasks in
    for (index, kind) in [HostileAnswer.Kind.page, .identity, .keys].enumerated() {
      for number in 0..<lanesOfEach {
        let lane = index * lanesOfEach + number
        tasks.addTask {
          let first = UInt64(lane) << 32
          try await ask(
            Lane(kind), first..<first + UInt64(rounds / lanesOfEach), on: group
          ) { seeds.note($0, lane: lane) }
        }
      }
    }
    try await tasks.waitForAll()
  }
  try await group.shutdownGracefully()
}

/// Ends the process, as an answer as it should be was not taken. Not by an expectation: a child that has many issues waits for its
/// parent to read them, which waits for its end.
private func giveUp(_ seed: UInt64) -> Never {
  FileHandle.standardError.write(Data("the good answer of seed \(seed) was not taken\n".utf8))
  exit(1)
}

/// Asks one server over and over.
private func ask(
  _ lane: Lane, _ seeds: Range<UInt64>, on group: any EventLoopGroup, _ note: @Sendable (UInt64) -> Void
) async throws {
  let proxy = ReverseProxy(
    lane.upstream, on: group, failures: lane.failures,
    memory: MemoryBound(nil, otherwise: 1 << 30, .sending, log: .quiet), route: "")
  let fetcher = UpstreamFetcher(lane.upstream, on: group)
  for seed in seeds {
    note(seed)
    let answer = HostileAnswer(lane.kind, seed: seed)
    lane.server.answer(with: answer)
    // A connection that the server is about to close may be used once more; its next one is good.
    var attempts = answer.isGood ? 3 : 1
    var isTaken = false
    while !isTaken, attempts > 0 {
      attempts -= 1
      switch lane.kind {
      case .page: isTaken = try await page(through: proxy, seed)
      case .identity: isTaken = await identity(from: fetcher, lane)
      case .keys: isTaken = await keys(from: fetcher)
      case .webSocket: return
      }
    }
    if answer.isGood, !isTaken { giveUp(seed) }
  }
  try await proxy.shutDown()
  try await fetcher.shutDown()
  lane.server.stop()
}

/// - Returns: whether an answer came whole.
private func page(through proxy: ReverseProxy, _ seed: UInt64) async throws -> Bool {
  var head = HTTPRequest(method: .get, scheme: "http", authority: "a", path: "/\(seed)")
  var body = RequestBody(buffer: ByteBuffer())
  switch seed % 8 {
  case 0: head.method = .head
  case 1, 2:
    let part = ByteBuffer(repeating: UInt8(ascii: "u"), count: 3000)
    head.method = .post
    head.headerFields[.contentLength] = "9000"
    body = RequestBody(
      asyncSequence: AsyncStream { stream in
        for _ in 0..<3 { stream.yield(part) }
        stream.finish()
      })
  default: break
  }
  let request = Request(head: head, body: body)
  let channel = NIOAsyncTestingChannel()
  let upload = Upload(request, on: channel)
  async let _ = upload?.pump()
  guard case .success(let path) = RequestPath.decode(target: Array("/\(seed)".utf8)) else { return false }
  let client = Client(peer: .tcp(IPAddress(v4: 0x7F00_0001), port: 1), isSecure: false)
  do {
    let response = try await proxy.respond(
      to: request, upload, path: path, RouteMatch(route: 0, captures: Captures(), remainder: nil),
      from: client, on: channel)
    try await response.body.write(Collector())
    return response.status == .ok
  } catch {
    return false
  }
}

private func identity(from fetcher: UpstreamFetcher, _ lane: Lane) async -> Bool {
  var question = QuestionConfiguration(url: lane.upstream, headers: ["cookie"])
  question.timeout = .seconds(20)
  let callback = IdentityCallback(
    CallbackConfiguration(question: question), server: fetcher, failures: lane.failures)
  let client = Client(peer: .tcp(IPAddress(v4: 0x7F00_0001), port: 1), isSecure: false)
  let outcome = await callback.ask(Credentials(fields: [], host: "a", client: client), long: [])
  if case .identity(let identity) = outcome { return identity.user == "7" }
  return false
}

private func keys(from fetcher: UpstreamFetcher) async -> Bool {
  let set = JWTConfiguration(keys: .set(.url(fetcher.upstream), refresh: .seconds(600)))
  let ring = KeyRing(set, server: fetcher, log: .quiet, leastPause: .zero)
  if case .keys = await ring.keys(named: "a", for: .edDSA) { return true }
  return false
}
