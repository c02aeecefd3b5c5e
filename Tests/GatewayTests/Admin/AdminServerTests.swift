import GatewayConfig
import GatewayTestSupport
import JSON
import NIOPosix
import Testing
import Transport

@testable import Gateway

struct AdminServerTests {
  private static let token = "0123456789abcdef"

  private static func ask(_ path: String, _ port: Int) throws -> RawClient {
    let client = try RawClient(port: port)
    try client.send("GET \(path) HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(token)\r\n\r\n")
    return client
  }

  /// A server on a free port, for as long as the body runs.
  private static func serving(
    _ respond: @escaping AdminServer.Respond, _ body: (AdminServer, Int) async throws -> Void
  ) async throws {
    let access = AdminAccess(.loopback(host: "127.0.0.1", port: 1, token: Secret(token)))
    let server = AdminServer(
      access, on: MultiThreadedEventLoopGroup.singleton.next(), log: WrittenLines(.text).log)
    let listener = try Listener.tcp(host: "127.0.0.1", port: 0, reusePort: false)
    guard case .tcp(_, let port) = listener.address else { return }
    try await server.listen(on: listener.take())
    let running = Task { await server.run(respond) }
    try await body(server, port)
    running.cancel()
    await server.finish(within: .seconds(1))
    await running.value
  }

  @Test func `a plan ends with its client, and an order goes on`() async throws {
    let (begun, begin) = AsyncStream<String>.makeStream()
    let (ended, end) = AsyncStream<String>.makeStream()
    let (released, release) = AsyncStream<Void>.makeStream()
    try await Self.serving { request, _ in
      begin.yield(request.path)
      if request.path == "/plan" { try? await Task.sleep(for: .seconds(60)) }
      if request.path == "/reload" { for await _ in released { break } }
      end.yield("\(request.path) \(Task.isCancelled)")
      return AdminAnswer([:])
    } _: { _, port in
      let (order, plan) = (try Self.ask("/reload", port), try Self.ask("/plan", port))
      var beginnings = begun.makeAsyncIterator()
      for _ in 0..<2 { _ = await beginnings.next() }
      order.close()
      plan.close()
      var endings = ended.makeAsyncIterator()
      #expect(await endings.next() == "/plan true")
      release.yield()
      #expect(await endings.next() == "/reload false")
    }
  }

  @Test func `a few plans are made at a time, and what is asked besides is answered`() async throws {
    let (released, release) = AsyncStream<Void>.makeStream()
    let (begun, begin) = AsyncStream<Void>.makeStream()
    try await Self.serving { request, _ in
      if request.path == "/plan" {
        begin.yield()
        for await _ in released { break }
      }
      return AdminAnswer(["path": .string(request.path)])
    } _: { _, port in
      let plans = try (0..<3).map { _ in try Self.ask("/plan", port) }
      var beginnings = begun.makeAsyncIterator()
      for _ in plans { await beginnings.next() }
      try await offThePool {
        for _ in 0..<10 {
          let refused = try Self.ask("/plan", port)
          let (head, body) = (try refused.receiveHead(), try refused.receive(upTo: "}"))
          #expect(head.hasPrefix("HTTP/1.1 503 ") && body.contains("ask again when one of them is done"))
        }
        for path in ["/status", "/progress", "/reload", "/drain"] {
          let head = try Self.ask(path, port).receiveHead()
          #expect(head.hasPrefix("HTTP/1.1 200 "))
        }
        release.finish()
        for plan in plans {
          let head = try plan.receiveHead()
          #expect(head.hasPrefix("HTTP/1.1 200 "))
        }
      }
    }
  }

  /// As while a program takes the place of this one.
  @Test func `who asks during a pause waits, and who has asked before is told to ask again`() async throws {
    let access = AdminAccess(.loopback(host: "127.0.0.1", port: 1, token: Secret(Self.token)))
    let server = AdminServer(
      access, on: MultiThreadedEventLoopGroup.singleton.next(), log: WrittenLines(.text).log)
    let listener = try Listener.tcp(host: "127.0.0.1", port: 0, reusePort: false)
    guard case .tcp(_, let port) = listener.address else { return }
    try await server.listen(on: listener.take())
    let (begun, begin) = AsyncStream<Void>.makeStream()
    let running = Task {
      await server.run { request, _ in
        begin.yield()
        if request.path == "/slow" { try? await Task.sleep(for: .seconds(60)) }
        return AdminAnswer(["path": .string(request.path)])
      }
    }
    let slow = try Self.ask("/slow", port)
    let silent = try RawClient(port: port)
    for await _ in begun { break }
    await server.pause(within: .milliseconds(50))
    try await offThePool {
      let head = try slow.receiveHead()
      #expect(head.hasPrefix("HTTP/1.1 503 "))
      #expect(throws: RawClient.Failure.self) { try silent.receive(1) }
    }
    // In the queue of the socket.
    let late = try Self.ask("/late", port)
    await server.goOn()
    try await offThePool {
      let (head, body) = (try late.receiveHead(), try late.receive(upTo: "}"))
      #expect(head.hasPrefix("HTTP/1.1 200 ") && body == #"{"path":"/late"}"#)
    }
    running.cancel()
    await server.finish(within: .seconds(1))
    await running.value
  }
}
