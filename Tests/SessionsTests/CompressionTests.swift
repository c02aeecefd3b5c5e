import Bytes
import Consumers
import GatewayConfig
import GatewayTestSupport
import LayerTestSupport
import Logging
import TestSupport
import Testing
import Transport
import WebSocketCore

@testable import ChannelLayers
@testable import Sessions

/// The first route of a file with these lines.
private func route(_ lines: String, top: String = "") throws -> (SessionRoute, MemoryBudget) {
  let configuration = try ConfigurationLoader.configuration(
    of: """
      installed_apps: [echo, chat, broadcast]
      channel_layers: {default: {backend: memory}}
      \(top)
      applications: {main: {websocket: [{path: ws/, \(lines)}]}}
      """)
  let route = SessionRoute(
    configuration.served.webSocketRoutes[0], ServedLayers([]), log: .quiet)
  return (route, MemoryBudget(total: configuration.server.compressionMemory.bytes))
}

private func offers(_ parameters: String) -> [ExtensionOffer] {
  ExtensionOffer.parse(["permessage-deflate" + parameters]) ?? []
}

struct GroupCompressionTests {
  private static let long = String(repeating: #"{"price": 17.25, "name": "x"}, "#, count: 30)

  @Test func `an event is deflated once for all members with the same parameters, and right for the others`()
    throws
  {
    try onReactor { reactor in
      let (route, budget) = try route("consumer: broadcast, group: g, compression: true")
      let worker = WorkerCompression(budget: budget)
      let groups = LocalGroups(reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: 0))
      let kinds = [
        "", "; client_max_window_bits", "; server_max_window_bits=9",
        "; server_max_window_bits=9; client_no_context_takeover",
      ]
      var members: [(member: RecordingMember, isCompressed: Bool)] = []
      var deflaters: [Deflater] = []
      var memberships: [Membership] = []
      for number in 0..<100 {
        let member = RecordingMember()
        // Every fifth offers nothing.
        let offer = number % 5 == 4 ? [] : offers(kinds[number % 5])
        let agreed = worker.agree(on: offer, for: route)
        #expect((agreed == nil) == offer.isEmpty)
        members.append((member, agreed != nil))
        if let compression = agreed?.compression {
          #expect(agreed?.agreement.serverContext == ContextTakeover.none)
          if !deflaters.contains(where: { $0 === compression.deflater }) {
            deflaters.append(compression.deflater)
          }
          let renderer = try #require(compression.renderer)
          memberships.append(
            groups.join(member, group: "g", route: ObjectIdentifier(renderer), renderer: renderer))
        } else {
          memberships.append(
            groups.join(member, group: "g", route: ObjectIdentifier(route), renderer: route.consumer))
        }
      }
      groups.deliver(
        Event(type: "broadcast.message", fields: [.init("text", .text(Array(Self.long.utf8)))]), to: "g")
      groups.deliver(
        Event(type: "broadcast.message", fields: [.init("text", .text(Array("short".utf8)))]), to: "g")
      groups.endOfTurn()
      // Windows of 15 and 9, each has deflated the long one.
      #expect(deflaters.map(\.messages) == [1, 1])
      // Both events for both windows and for those without; one write for each member.
      #expect(groups.counters == .init(events: 2, renderings: 6, writes: 100, ignored: 0))
      for (member, isCompressed) in members {
        #expect(texts(member.bytes, inflating: isCompressed) == [Self.long, "short"])
        #expect(member.bytes.first == (isCompressed ? 0xC1 : 0x81))
        #expect((member.bytes.count < Self.long.utf8.count / 2) == isCompressed)
      }
      for membership in memberships { groups.leave(membership) }
    }
  }

  @Test func `noise and short messages are sent as they are`() throws {
    let (route, budget) = try route("consumer: broadcast, group: g, compression: {threshold: 300B}")
    let compression = try #require(
      WorkerCompression(budget: budget).agree(on: offers(""), for: route)?.compression)
    let renderer = try #require(compression.renderer)
    var random = SplitMix(seed: 1)
    let noise = (0..<400).map { _ in UInt8.random(in: 0...255, using: &random) }
    for payload in [noise, [UInt8](repeating: 7, count: 299)] {
      let event = Event(type: "broadcast.message", fields: [.init("bytes", .bytes(payload))])
      let plain = SharedBytes(capacity: 64)
      let frames = SharedBytes(capacity: 64)
      #expect(route.consumer.render(event, for: nil, into: plain) == .frames)
      #expect(renderer.render(event, for: nil, into: frames) == .frames)
      var bytes: [[UInt8]] = []
      for buffer in [plain, frames] { buffer.read { bytes.append([UInt8](copying: $0)) } }
      #expect(bytes[0] == bytes[1])
    }
    #expect(compression.deflater.messages == 1)
    let unknown = SharedBytes(capacity: 64)
    #expect(renderer.render(Event(type: "unknown"), for: nil, into: unknown) == .ignored)
    #expect(unknown.count == 0)
  }
}

struct WorkerCompressionTests {
  @Test func `a route without compression answers no offer`() throws {
    let (route, budget) = try route("consumer: echo")
    #expect(WorkerCompression(budget: budget).agree(on: offers(""), for: route) == nil)
  }

  @Test func `sessions that keep nothing share everything`() throws {
    let (route, budget) = try route("consumer: echo, compression: true")
    let worker = WorkerCompression(budget: budget)
    let first = try #require(worker.agree(on: offers(""), for: route))
    let second = try #require(worker.agree(on: offers("; client_max_window_bits=9"), for: route))
    #expect(first.compression === second.compression)
    #expect(first.agreement.response.contains("server_no_context_takeover; client_no_context_takeover"))
    #expect(budget.taken == 0)
  }

  @Test func `contexts are kept until their memory is used up, and again when it is given back`() throws {
    let (route, budget) = try route(
      "consumer: echo, compression: {context_takeover: true}", top: "limits: {compression_memory: 1MiB}")
    let worker = WorkerCompression(budget: budget)
    func open() throws -> (agreement: CompressionAgreement, compression: SessionCompression) {
      try #require(worker.agree(on: offers("; client_max_window_bits"), for: route))
    }
    var sessions = try (0..<3).map { _ in try open() }
    #expect(sessions.allSatisfy { $0.agreement.response == "permessage-deflate" })
    #expect(sessions[0].compression.deflater !== sessions[1].compression.deflater)
    #expect(sessions[0].compression.inflater !== sessions[1].compression.inflater)
    let late = try open()
    #expect(
      late.agreement.response == "permessage-deflate; server_no_context_takeover; client_no_context_takeover")
    #expect(try open().compression === late.compression)
    sessions.removeLast()
    #expect(try open().agreement.response == "permessage-deflate")
    sessions.removeAll()
    #expect(budget.taken == 0)
  }

  @Test(.bug(id: "client-context"))
  func `where the client's context is kept, no client is asked to keep none`() throws {
    let (route, budget) = try route(
      "consumer: echo, compression: {client_context_takeover: true}",
      top: "limits: {compression_memory: 1MiB}")
    let worker = WorkerCompression(budget: budget)
    var sessions: [(agreement: CompressionAgreement, compression: SessionCompression)] = []
    while let session = worker.agree(on: offers(""), for: route) {
      sessions.append(session)
      guard sessions.count < 1000 else { break }
    }
    // An inflater's window is what each costs; without memory for it a session is not compressed.
    #expect((16..<64).contains(sessions.count))
    #expect(
      sessions.allSatisfy { $0.agreement.response == "permessage-deflate; server_no_context_takeover" })
    #expect(sessions[0].compression.inflater !== sessions[1].compression.inflater)
    #expect(sessions[0].compression.deflater === sessions[1].compression.deflater)
    // A client that says itself that it keeps nothing needs no memory.
    #expect(worker.agree(on: offers("; client_no_context_takeover"), for: route) != nil)
    sessions.removeAll()
    #expect(budget.taken == 0)
  }

  @Test func `with both contexts kept, the server's is given up first`() throws {
    let (route, budget) = try route(
      "consumer: echo, compression: {context_takeover: true, client_context_takeover: true}",
      top: "limits: {compression_memory: 1MiB}")
    let worker = WorkerCompression(budget: budget)
    var answers: [String] = []
    var sessions: [SessionCompression] = []
    while let session = worker.agree(on: offers(""), for: route), sessions.count < 1000 {
      answers.append(session.agreement.response)
      sessions.append(session.compression)
    }
    #expect(answers.first == "permessage-deflate")
    #expect(answers.last == "permessage-deflate; server_no_context_takeover")
    #expect(Set(answers).count == 2)
  }

  @Test func `a client that wants nothing kept costs nothing`() throws {
    let (route, budget) = try route("consumer: echo, compression: {context_takeover: true}")
    let worker = WorkerCompression(budget: budget)
    let agreed = worker.agree(
      on: offers("; server_no_context_takeover; client_no_context_takeover"), for: route)
    #expect(agreed != nil)
    #expect(budget.taken == 0)
  }

  @Test func `a route with a group keeps the client's context, never the server's`() throws {
    let (route, budget) = try route("consumer: chat, group: g, compression: {context_takeover: true}")
    let worker = WorkerCompression(budget: budget)
    let agreed = try #require(worker.agree(on: offers(""), for: route))
    #expect(agreed.agreement.response == "permessage-deflate; server_no_context_takeover")
    #expect(agreed.compression.renderer != nil)
    #expect(budget.taken > 0)
  }
}
