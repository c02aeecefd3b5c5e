import GatewayConfig
import Glibc
import LayerTestSupport
import NIOPosix
import TestSupport
import Testing
import Transport
import WebSocketCore

@testable import Sessions

/// An owner that accepts nothing by itself, and notes what it is told.
private final class Owner: SessionOwner {
  let isServing: Bool
  var stopRetry: Duration? { isServing ? nil : .milliseconds(3400) }
  let boundRetry: Duration? = nil
  var told: [String] = []

  init(isServing: Bool) {
    self.isServing = isServing
  }

  func connect(
    to upstream: UpstreamConfiguration, _ done: @escaping @Sendable (Result<Int32, any Error>) -> Void
  ) {
    told.append("connect")
  }

  func serveHTTP(_ request: FirstRequest, on connection: Connection, of client: Client) {
    connection.abort()
    told.append("\(request.head.method), \(request.length) of \(request.bytes.count) bytes")
  }

  func goOnInTLS(
    _ descriptor: consuming Descriptor, _ client: Client, _ allowance: Allowance, _ bytes: [UInt8],
    due: MonotonicTime
  ) {
    told.append("TLS")
  }

  func answered(_ connection: PendingConnection) { told.append("answered") }
  func pendingEnded(_ connection: PendingConnection) { told.append("ended") }
  func sessionEnded() { told.append("session ended") }
}

struct WorkerSessionsTests {
  private static let handshake =
    "GET /ws/ HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
  private static let plain = "GET /file HTTP/1.1\r\nHost: a\r\n\r\n"

  /// What became of a connection with this request.
  private func outcome(of request: String, isServing: Bool = true) throws -> (told: [String], live: Int) {
    let configuration = try ConfigurationLoader.configuration(
      of: "installed_apps: [echo]\napplications: {main: {websocket: [{path: ws/, consumer: echo}]}}")
    let (own, other) = socketPair()
    defer { Glibc.close(other) }
    #expect(unsafe write(other, request, request.utf8.count) == request.utf8.count)
    return try onReactor { reactor in
      let memory = MemoryBound(nil, otherwise: 1 << 20, .sending, log: .quiet)
      let process = ProcessState(
        configuration, ServedLayers([]), sendMemory: memory, memory: MemoryLimit.ofProcess(), threads: 1,
        connectionLimit: 10, loops: MultiThreadedEventLoopGroup.singleton, log: .quiet)
      let sessions = WorkerSessions(on: reactor, number: 0, process: process)
      let owner = Owner(isServing: isServing)
      sessions.owner = owner
      // Both live as long as the reactor.
      _ = reactor.mailbox { (_: Int) in withExtendedLifetime((sessions, owner)) {} }
      process.counters.connections.up()
      sessions.open(Descriptor(adopting: own), .session, of: Client(peer: .unix, isSecure: false)).connection?
        .readNow()
      #expect(process.counters.sessions.count == sessions.live.count)
      let outcome = (owner.told, sessions.live.count)
      sessions.abandon()
      return outcome
    }
  }

  @Test func `a handshake becomes a session, and its connection is pending no more`() throws {
    let (told, live) = try outcome(of: Self.handshake)
    #expect(told == ["ended"] && live == 1)
  }

  @Test func `a request for something else goes to the owner, with its bytes`() throws {
    let (told, live) = try outcome(of: Self.plain + "more")
    let length = Self.plain.utf8.count
    #expect(told.prefix(2) == ["GET, \(length) of \(length + 4) bytes", "ended"] && live == 0)
  }

  @Test func `while its owner stops there are no new sessions`() throws {
    let (told, live) = try outcome(of: Self.handshake, isServing: false)
    #expect(told.first == "answered" && live == 0)
  }
}
