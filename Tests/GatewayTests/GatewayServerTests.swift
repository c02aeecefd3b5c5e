import Foundation
import GatewayConfig
import GatewayTestSupport
import LayerTestSupport
import Logging
import TestSupport
import Testing
import Transport

@testable import Gateway

/// Serves a file on a free port for as long as the body runs.
private func serving(
  _ yaml: String, clientSilence: Duration = KeepAliveProbes.bound,
  _ body: @escaping @Sendable (Int) throws -> Void
) async throws {
  let configuration = try ConfigurationLoader.configuration(of: yaml).onAnyPort
  let gateway = GatewayServer(configuration, log: .quiet, clientSilence: clientSilence) {}
  try await gateway.serving { port in try await offThePool { try body(port) } }
}

private let chat = """
  installed_apps: [chat]
  channel_layers: {default: {backend: memory}}
  server: {threads: THREADS}
  applications:
    main:
      http: [{path: ready, health: ready}]
      websocket:
        - {path: "ws/<slug:room>/", consumer: chat, group: "chat_{room}"}
  """

struct GatewayServerTests {
  @Test(arguments: [1, 3])
  func `everyone in a room gets every message, on whatever reactor they are`(_ threads: Int) async throws {
    try await serving(chat.replacing("THREADS", with: "\(threads)")) { port in
      let clients = try (0..<20).map { _ in try RawClient(port: port, path: "/ws/lobby/") }
      let other = try RawClient(port: port, path: "/ws/kitchen/")
      try clients[0].send(text: #"{"message": "hello"}"#)
      for client in clients {
        let text = try client.receiveText()
        #expect(text == #"{"message": "hello"}"#)
      }
      try other.send(text: #"{"message": "alone"}"#)
      let alone = try other.receiveText()
      #expect(alone == #"{"message": "alone"}"#)
      for client in clients + [other] { client.close() }
    }
  }

  @Test func `health, unknown paths and plain requests for a socket have their answers`() async throws {
    let requests: [(request: String, status: Int)] = [
      ("GET /ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200),
      ("GET /nope HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 404),
      ("GET /ws/a/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 426),
      ("GET /ws/%zz/ HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", 400),
      ("garbage\r\n\r\n", 400),
    ]
    try await serving(chat.replacing("THREADS", with: "1")) { port in
      for (request, status) in requests {
        let answered = try RawClient.status(port: port, request)
        #expect(answered == status, "\(request)")
      }
    }
  }

  @Test func `an upgrade on a kept-alive connection becomes a session`() async throws {
    try await serving(chat.replacing("THREADS", with: "2")) { port in
      let client = try RawClient(port: port)
      try client.send("GET /ready HTTP/1.1\r\nHost: a\r\n\r\n")
      let head = try client.receiveHead()
      #expect(head.hasPrefix("HTTP/1.1 200"))
      _ = try client.receive(6)
      try client.upgrade(path: "/ws/lobby/")
      try client.send(text: #"{"message": 1}"#)
      let text = try client.receiveText()
      #expect(text == #"{"message": 1}"#)
      client.close()
    }
  }

  @Test func `a reader that fell behind gets its close frame, and nothing that its other groups had ready`()
    async throws
  {
    let yaml = """
      installed_apps: [broadcast]
      channel_layers: {default: {backend: memory}}
      server: {threads: 1}
      limits: {send_queue: 192KiB}
      applications:
        main:
          http: [{path: publish/, publish: {groups: [a, b], anonymous: true, body: 1MiB}}]
          websocket: [{path: ws/, consumer: broadcast, group: [a, b]}]
      """
    try await serving(yaml) { port in
      let slow = try RawClient(port: port, window: 4096)
      try slow.upgrade(path: "/ws/")
      func publish(_ items: [(group: String, text: String)]) throws {
        let batch = items.map { #"{"group": "\#($0.group)", "text": "\#($0.text)"}"# }
        let body = #"{"batch": [\#(batch.joined(separator: ", "))]}"#
        let client = try RawClient(port: port)
        try client.send(
          "POST /publish/ HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
            + body)
        let head = try client.receiveHead()
        #expect(head.hasPrefix("HTTP/1.1 200"))
      }
      let part = String(repeating: "b", count: 60_000)
      for _ in 0..<3 { try publish([("b", part)]) }
      // What is for one group is sent when it is much; that is when the client has too much, while the other one's still waits.
      try publish([("a", String(repeating: "a", count: 50_000))] + Array(repeating: ("b", part), count: 6))
      var texts: [UInt8] = []
      while true {
        let (first, payload) = try slow.receiveFrame()
        if first == 0x88 {
          #expect(payload.prefix(2).elementsEqual([0x03, 0xF5]))
          break
        }
        texts += payload.prefix(1)
      }
      #expect(!texts.isEmpty && texts.allSatisfy { $0 == UInt8(ascii: "b") })
    }
  }

  /// Where nothing is on the way the bound is `limits.keep_alive`, and the time that a client has to close its side.
  @Test(.bug(id: "vanished-http-client"))
  func
    `HTTP clients that vanished go, idle or in the middle of a download, and one that merely does not read stays`()
    async throws
  {
    let folder = try TemporaryFolder()
    try folder.write(Data(count: 16 << 20), as: "large")
    try folder.write(Data(count: 1), as: "small")
    let yaml = """
      installed_apps: []
      server: {threads: 1}
      limits: {keep_alive: 500ms}
      applications: {main: {http: [{path: "", static: "\(folder.path)"}]}}
      """
    try await serving(yaml, clientSilence: .seconds(1)) { port in
      let clients = try ["large", "large", "small"].map { name in
        let client = try RawClient(port: port, window: 8192)
        try client.send("GET /\(name) HTTP/1.1\r\nHost: a\r\n\r\n")
        let head = try client.receiveHead()
        #expect(head.hasPrefix("HTTP/1.1 200"))
        return client
      }
      let (lost, paused, idle) = (clients[0], clients[1], clients[2])
      for client in [lost, idle] { client.vanish() }
      let deadline = Date.now + 30
      while try lost.isServed(by: port) || idle.isServed(by: port), Date.now < deadline { usleep(20_000) }
      let served = try [lost, idle, paused].map { try $0.isServed(by: port) }
      #expect(served == [false, false, true])
      for client in clients { client.close() }
    }
  }

  @Test func `a stop that nobody carries out ends the process when its grace and the bound are over`() throws
  {
    let configuration = try ConfigurationLoader.configuration(
      of: chat.replacing("THREADS", with: "1") + "\nshutdown: {grace: 0s}\n")
    // The grace of a drain takes the place of that of the file.
    for (grace, bound) in [(nil, "10ms"), (Duration.milliseconds(20), "30ms")] {
      let overdue = DispatchSemaphore(value: 0)
      let lines = WrittenLines(.text)
      // It does not run, as if all threads that would run it were blocked.
      let gateway = GatewayServer(configuration, log: lines.log, stopBound: .milliseconds(10)) {
        overdue.signal()
      }
      #expect(overdue.wait(timeout: .now()) == .timedOut)
      gateway.stop(within: grace)
      #expect(overdue.wait(timeout: .now() + 20) == .success)
      let said = lines.all.filter { $0.contains("the shutdown did not finish in time bound=\(bound) ") }
      #expect(said.count == 1, "\(lines.all)")
    }
  }

  @Test func `a second wish to stop makes the time shorter, and the end of the stop ends it`() throws {
    let (abandoned, overdue) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    let deadline = StopDeadline(bound: .seconds(3600)) {
      abandoned.signal()
    } overdue: { _ in
      overdue.signal()
    }
    try deadline.begin(.seconds(3600))
    try deadline.begin(.zero)
    try deadline.begin(.seconds(7200))
    #expect(abandoned.wait(timeout: .now() + 20) == .success)
    deadline.end()
    #expect(overdue.wait(timeout: .now()) == .timedOut)
    // Nothing is stopped any more.
    try deadline.begin(.zero)
    #expect(abandoned.wait(timeout: .now()) == .timedOut)
  }
}
