import Foundation
import GatewayTestSupport
import LayerTestSupport
import Synchronization
import TestSupport
import Testing
import WebSocketCore

@testable import Gateway
@testable import GatewayConfig
@testable import Sessions
@testable import Transport

/// - Parameters:
///   - form: what frames and answers of this version say of it.
///   - routes: further WebSocket routes.
private func configuration(form: String, threads: Int = 1, routes: String = "") throws -> Configuration {
  let events = #"events: {shown: {form: "\#(form)", n: "{n}", pad: "\#(String(repeating: "x", count: 64))"}}"#
  return try ConfigurationLoader.configuration(
    of: """
      installed_apps: [broadcast, chat, echo]
      channel_layers: {default: {backend: memory}}
      server: {threads: \(threads)}
      applications:
        main:
          http:
            - {path: publish/, publish: {groups: [news, kept], anonymous: true}}
            - {path: sse/, events: {group: news, \(events.replacing("events:", with: "templates:"))}}
            - {path: form/, respond: "\(form)"}
          websocket:
            - {path: ws/plain/, consumer: broadcast, group: news, \(events)}
            - {path: ws/packed/, consumer: broadcast, group: news, compression: {threshold: 1B}, \(events)}
            - {path: ws/two/, consumer: broadcast, group: [own, news], \(events)}
            - {path: ws/kept/, consumer: broadcast, group: kept, history: {messages: 500}, \(events)}
            - {path: ws/there/, consumer: chat, group: there, presence: true}
            - {path: ws/echo/, consumer: echo}
            \(routes)
      """
  ).onAnyPort
}

/// What was served, as long as anybody holds it.
private final class Served: Sendable {
  private final class Weak: @unchecked Sendable {
    weak let served: ServedApplication?
    weak let route: SessionRoute?

    init(_ served: ServedApplication) {
      self.served = served
      route = served.routes.routes.first
    }
  }

  private let all = Mutex<[Weak]>([])

  func note(_ served: ServedApplication) {
    all.withLock { $0.append(Weak(served)) }
  }

  var living: (values: Int, routes: Int) {
    all.withLock { all in (all.count { $0.served != nil }, all.count { $0.route != nil }) }
  }
}

private func publish(_ event: String, to group: String, port: Int) throws {
  let body = #"{"group": "\#(group)", "event": \#(event)}"#
  let client = try RawClient(port: port)
  try client.send(
    "POST /publish/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
      + body)
  let head = try client.receiveHead()
  #expect(head.hasPrefix("HTTP/1.1 200"), "\(head)")
}

extension GatewayServer {
  fileprivate func serves(_ configuration: Configuration) async throws {
    let result = await reload(askedBy: "a test", to: configuration)
    try #require(result.refusal == nil)
  }
}

struct ExchangeTests {
  @Test(arguments: [1, 2])
  func `what is served is exchanged a hundred times under living sessions, and only the last one is kept`(
    _ threads: Int
  ) async throws {
    let versions = try ["one", "two"].map { try configuration(form: $0, threads: threads) }
    let gateway = GatewayServer(versions[0], log: .quiet) {}
    let served = Served()
    try await gateway.serving { port in
      try await offThePool {
        let plain = try RawClient(port: port, path: "/ws/plain/")
        let two = try RawClient(port: port, path: "/ws/two/")
        let kept = try RawClient(port: port, path: "/ws/kept/?since=")
        _ = try kept.receiveText()
        let packed = try RawClient(port: port)
        try packed.upgrade(path: "/ws/packed/", extensions: "permessage-deflate")
        let stream = try RawClient(port: port)
        try stream.send("GET /sse/ HTTP/1.1\r\nHost: a\r\n\r\n")
        _ = try stream.receiveHead()
        let kind = try RawClient(port: port)
        for number in 1...100 {
          let version = number % 2
          try waiting { try await gateway.serves(versions[version]) }
          served.note(gateway.gateway.served)
          let form = ["one", "two"][version]
          try publish(#"{"type": "shown", "n": \#(number)}"#, to: "news", port: port)
          try publish(#"{"type": "shown", "n": \#(number)}"#, to: "kept", port: port)
          let said = "\"form\":\"\(form)\",\"n\":\(number),"
          for client in [plain, two] {
            let text = try client.receiveLongText()
            #expect(text.contains(said), "\(text)")
          }
          // A client that is told of positions stays one.
          let numbered = try kept.receiveLongText()
          #expect(numbered.contains(said) && numbered.contains("\"id\""), "\(numbered)")
          let event = try stream.receive(upTo: "\"n\":\(number),")
          #expect(event.contains("\"form\":\"\(form)\""), "\(event)")
          let (first, payload) = try packed.receiveFrame()
          #expect(first == 0xC1)
          #expect(
            texts([first, UInt8(payload.count)] + payload, inflating: true)?.first?.contains(said) == true)
          try kind.send("GET /form/ HTTP/1.1\r\nHost: a\r\n\r\n")
          _ = try kind.receiveHead()
          let body = try kind.receive(3)
          #expect(String(decoding: body, as: UTF8.self) == form)
        }
        // All that is left of the versions before is what the last one has of them: nothing.
        let living = served.living
        #expect(living.values == 1)
        #expect(living.routes == 1)
        for client in [plain, two, kept, packed, stream, kind] { client.close() }
      }
    }
  }

  @Test
  func
    `sessions end where their route is gone or means something else, and take the rules of one that does not`()
    async throws
  {
    let before = try configuration(
      form: "one",
      routes: """
        - {path: ws/gone/, consumer: echo}
              - {path: ws/regrouped/, consumer: chat, group: old}
              - {path: ws/small/, consumer: echo}
        """)
    let after = try configuration(
      form: "one",
      routes: """
        - {path: ws/regrouped/, consumer: chat, group: new}
              - {path: ws/small/, consumer: echo, limits: {message: 8B}}
        """)
    let gateway = GatewayServer(before, log: .quiet) {}
    try await gateway.serving { port in
      try await offThePool {
        let gone = try RawClient(port: port, path: "/ws/gone/")
        let regrouped = try RawClient(port: port, path: "/ws/regrouped/")
        let small = try RawClient(port: port, path: "/ws/small/")
        let there = try RawClient(port: port, path: "/ws/there/")
        _ = try there.receiveText()
        try small.send(text: "nine bytes")
        let echoed = try small.receiveText()
        #expect(echoed == "nine bytes")
        try waiting { try await gateway.serves(after) }
        for client in [gone, regrouped] {
          let (first, payload) = try client.receiveFrame()
          #expect(first == 0x88)
          #expect(payload.prefix(2).elementsEqual([0x03, 0xF4]))
        }
        try small.send(text: "nine bytes")
        let (first, payload) = try small.receiveFrame()
        #expect(first == 0x88)
        #expect(payload.prefix(2).elementsEqual([0x03, 0xF1]))
        // Who is there is told as before.
        try there.send(text: #"{"presence": "list"}"#)
        let list = try there.receiveText()
        #expect(list.contains("\"count\": 1"), "\(list)")
        let status = try RawClient.status(
          port: port, "GET /ws/gone/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        #expect(status == 404)
        for client in [gone, regrouped, small, there] { client.close() }
      }
    }
  }

  /// A session that takes longer over an exchange than a part of it may.
  private final class Slow: LiveSession {
    var index = 0
    var hasAdopted = false
    let routeName = "slow"
    let routeMeaning = "slow"

    func isServed(by routes: LiveRoutes) -> Bool { false }

    func adopt(_ exchange: RouteChanges) -> ClientOutcome? {
      let end = MonotonicTime.now + .milliseconds(3)
      while MonotonicTime.now < end {}
      hasAdopted = true
      return judge(by: exchange)
    }

    func judge(by exchange: RouteChanges) -> ClientOutcome? { ClientOutcome(route: "slow", verdict: .stays) }

    func close(_ reason: CloseReason) {}
    func checkKeepAlive(at now: UInt64) {}
    func handedState(_ chunks: UnsentChunks) -> SessionState? { nil }
    var isBound: Bool { false }
    func abandon() {}
  }

  /// More than a worker brings to new routes between two looks at the clock.
  private static func openSlow(on worker: WorkerSessions) -> [Slow] {
    let slow = (0..<40).map { _ in Slow() }
    for session in slow {
      worker.process.counters.connections.up()
      worker.sessionOpened(session, wait: .seconds(60))
    }
    return slow
  }

  @Test func `whoever exchanges what is served already waits for the sessions that are still to come`()
    async throws
  {
    let yaml = "installed_apps: [echo]\napplications: {main: {websocket: [{path: ws/, consumer: echo}]}}"
    try await TurnedWorker.serving(yaml) { scene in
      let worker = scene.worker.sessions
      let slow = Self.openSlow(on: worker)
      defer { for session in slow { worker.sessionEnded(session) } }
      let told = Mutex<[ExchangeCounts]>([])
      func watcher() -> ExchangeTally {
        ExchangeTally { counts in told.withLock { $0.append(counts) } }
      }
      var watchers = [watcher(), watcher()]
      weak let (first, second) = (watchers[0], watchers[1])
      scene.gateway.serve(
        scene.gateway.process.routes(of: try ConfigurationLoader.configuration(of: yaml)))
      for watcher in watchers { worker.serveAnew(watcher: watcher) }
      watchers = []
      #expect(first != nil && second != nil && slow.contains { !$0.hasAdopted })
      scene.pass(.milliseconds(16), times: slow.count)
      #expect(first == nil && second == nil && slow.allSatisfy(\.hasAdopted))
      weak let third = { () -> ExchangeTally in
        let watcher = watcher()
        worker.serveAnew(watcher: watcher)
        return watcher
      }()
      #expect(third == nil)
      // Each is told of all of them, also who comes when it is over.
      #expect(told.withLock { $0.map(\.stayed) } == [40, 40, 40])
    }
  }

  @Test
  func `clients that leave during an exchange are counted once, and so are those that take their places`()
    async throws
  {
    let yaml = "installed_apps: [echo]\napplications: {main: {websocket: [{path: ws/, consumer: echo}]}}"
    try await TurnedWorker.serving(yaml) { scene in
      let worker = scene.worker.sessions
      var sessions = Self.openSlow(on: worker)
      let counted = Mutex<Int>(0)
      scene.gateway.serve(
        scene.gateway.process.routes(of: try ConfigurationLoader.configuration(of: yaml)))
      do {
        let watcher = ExchangeTally { counts in counted.withLock { $0 = counts.stayed } }
        worker.serveAnew(watcher: watcher)
      }
      let first = sessions.count(where: \.hasAdopted)
      #expect(first > 0 && first < 36)
      // The first ones of the list, whose turn is still to come: those who had theirs take their places.
      for session in sessions.prefix(5) { worker.sessionEnded(session) }
      let areUntouched = sessions.prefix(5).allSatisfy { !$0.hasAdopted }
      #expect(areUntouched)
      sessions.removeFirst(5)
      scene.pass(.milliseconds(16), times: 40)
      let areAllTouched = sessions.allSatisfy(\.hasAdopted)
      #expect(areAllTouched)
      let count = counted.withLock { $0 }
      #expect(count == 35)
      for session in sessions { worker.sessionEnded(session) }
    }
  }

  @Test func `a layer, TLS to upstreams and users that no route has had so far are there after an exchange`()
    async throws
  {
    @Sendable func configuration(_ route: String) throws -> Configuration {
      try ConfigurationLoader.configuration(
        of: """
          installed_apps: [chat, echo, proxy]
          channel_layers: {default: {backend: memory}, other: {backend: memory}}
          auth: {api: {jwt: {secret: "\(String(repeating: "k", count: 64))"}}}
          applications: {main: {websocket: [{path: ws/plain/, consumer: chat, group: g}, \(route)]}}
          """
      ).onAnyPort
    }
    let gateway = GatewayServer(try configuration("{path: ws/, consumer: echo}"), log: .quiet) {}
    try await gateway.serving { port in
      try await offThePool {
        let plain = try RawClient(port: port, path: "/ws/plain/")
        for (route, status) in [
          ("{path: ws/, consumer: chat, group: h, channel_layer: other, presence: true}", 101),
          ("{path: ws/, consumer: proxy, to: \"wss://127.0.0.1:9/\"}", 502),
          ("{path: ws/, consumer: echo, auth: api}", 401),
        ] {
          let wanted = try configuration(route)
          try waiting {
            let result = await gateway.reload(askedBy: "a test", to: wanted)
            #expect(result.refusal == nil, "\(result)")
            #expect(result.counts.stayed == 1, "\(result.counts)")
          }
          let client = try RawClient(port: port)
          try client.send(
            "GET /ws/ HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
          )
          let head = try client.receiveHead()
          #expect(head.hasPrefix("HTTP/1.1 \(status)"), "\(head)")
          client.close()
        }
        try plain.send(text: #"{"message": 1}"#)
        let answer = try plain.receiveText()
        #expect(answer == #"{"message": 1}"#)
        plain.close()
      }
    }
  }
}
