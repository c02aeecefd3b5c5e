import NIOCore
import NIOEmbedded
import NIOHTTP1
import TestSupport
import Testing
import Transport

@testable import Gateway

/// The socket of an embedded channel: counts how often it is to be read from, and its sides can be closed one by one.
private final class Socket: ChannelOutboundHandler {
  typealias OutboundIn = Any
  var reads = 0

  func read(context: ChannelHandlerContext) {
    reads += 1
    context.read()
  }

  func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    guard mode == .output else { return context.close(mode: mode, promise: promise) }
    promise?.succeed()
  }
}

/// Takes what the parser found.
private final class Requests: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  /// Each request as a line: its method, target and body, and a full stop where its end was found.
  var found: [String] = []
  var hasInputEnded = false
  var hasFailed = false
  var parts = 0

  var ended: Int { found.count { $0.hasSuffix(".") } }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    parts += 1
    switch unwrapInboundIn(data) {
    case .head(let head): found.append("\(head.method) \(head.uri) ")
    case .body(let bytes): found[found.count - 1] += String(buffer: bytes)
    case .end(let trailers):
      for trailer in trailers ?? [:] { found[found.count - 1] += " \(trailer.name)=\(trailer.value)" }
      found[found.count - 1] += "."
    }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case ChannelEvent.inputClosed = event { hasInputEnded = true }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    hasFailed = true
  }
}

/// One connection behind a gate.
private struct Gated {
  let channel: EmbeddedChannel
  let socket = Socket()
  let requests = Requests()
  let memory: MemoryBudget
  /// What has gone back to a worker.
  let left = Left()

  final class Left {
    var bytes: [String] = []
  }

  init(memory: Int = 1 << 20) throws {
    self.memory = MemoryBudget(total: memory)
    let gate = RequestGate(share: MemoryShare(of: self.memory))
    channel = EmbeddedChannel(handlers: [
      socket, gate, HTTPResponseEncoder(), ByteToMessageHandler(HTTPRequestDecoder()),
      HTTPMessageHandler(gate: gate) { _ in
      } isForWorker: {
        $0.uri == "/back"
      } leaves: { [left] in
        left.bytes.append(String(decoding: $0, as: UTF8.self))
      }, requests,
    ])
    try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    channel.read()
  }

  func receive(_ text: some StringProtocol) throws {
    try channel.writeInbound(ByteBuffer(string: String(text)))
  }

  func answer() {
    channel.write(
      HTTPServerResponsePart.head(.init(version: .http1_1, status: .ok, headers: ["Content-Length": "0"])),
      promise: nil)
    channel.writeAndFlush(HTTPServerResponsePart.end(nil), promise: nil)
    channel.embeddedEventLoop.run()
  }

  /// Answers every request that has been read to its end, one after the other.
  ///
  /// - Returns: the most requests that were there before the one ahead of them was answered.
  func answerAll(_ answered: inout Int) -> Int {
    var most = requests.found.count - answered
    while answered < requests.ended {
      answered += 1
      answer()
      most = max(most, requests.found.count - answered)
    }
    return most
  }
}

private let get = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"

private let messages = [
  get,
  "\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n",
  "POST /c HTTP/1.1\r\nHost: a\r\nContent-Length: 13\r\n\r\na\r\n\r\nGET / \r\n",
  "POST /d HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
  "POST /e HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n\r\n\r\n\n\r\nA;x=\"y\"\r\n0123456789\r\n000\r\n\r\n",
  "POST /f HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n0\r\n0\r\nX-A: 1\r\nX-B: 2\r\n\r\n",
  "POST /g HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    + String(repeating: "1\r\nz\r\n", count: 40) + "0\r\n\r\n",
  get,
]

private let found = [
  "GET /a .", "GET /b .", "POST /c a\r\n\r\nGET / \r\n.", "POST /d .", "POST /e \r\n\r\n\n0123456789.",
  "POST /f 0 X-A=1 X-B=2.", "POST /g " + String(repeating: "z", count: 40) + ".", "GET /a .",
]

struct RequestGateTests {
  @Test(arguments: 0..<200)
  func `however the bytes are split, the requests are the same, and one at a time`(_ seed: UInt64) throws {
    var random = SplitMix(seed: seed)
    let gated = try Gated()
    var rest = messages.joined()[...]
    var answered = 0
    while !rest.isEmpty {
      // Character by character would keep CR and LF together.
      let count = min(
        Int.random(in: 1...[1, 8, 64, 4096].randomElement(using: &random)!, using: &random), rest.utf8.count)
      let end = rest.utf8.index(rest.startIndex, offsetBy: count)
      try gated.channel.writeInbound(ByteBuffer(bytes: rest.utf8[..<end]))
      rest = rest[end...]
      if Bool.random(using: &random) { #expect(gated.answerAll(&answered) <= 1) }
    }
    #expect(gated.answerAll(&answered) <= 1)
    #expect(gated.requests.found == found)
    #expect(gated.memory.taken == 0)
  }

  @Test func `one request is read ahead, and the socket is not read from while others are kept`() throws {
    let gated = try Gated()
    try gated.receive(String(repeating: get, count: 1000))
    let reads = gated.socket.reads
    for number in 1...999 {
      #expect(gated.requests.found.count == number)
      #expect(gated.socket.reads == reads)
      #expect(gated.memory.taken > 0)
      gated.channel.read()
      gated.answer()
    }
    #expect(gated.requests.found.count == 1000)
    #expect(gated.socket.reads > reads)
    #expect(gated.memory.taken == 0)
  }

  @Test func `who does not take its answers has no further request read`() throws {
    let gated = try Gated()
    try gated.receive(get + get)
    gated.channel.isWritable = false
    gated.answer()
    #expect(gated.requests.found.count == 1)
    gated.channel.isWritable = true
    gated.channel.pipeline.fireChannelWritabilityChanged()
    #expect(gated.requests.found.count == 2)
  }

  @Test func `many tiny chunks become few parts at a time`() throws {
    let gated = try Gated()
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    // Whoever takes nothing is nobody who asks for more.
    let deaf = Deaf()
    try gated.channel.pipeline.syncOperations.addHandler(deaf)
    try gated.receive(head + String(repeating: "1\r\nz\r\n", count: 1000))
    #expect(gated.requests.parts <= 1 + 16)
    deaf.hears = true
    gated.channel.read()
    gated.channel.embeddedEventLoop.run()
    #expect(gated.requests.parts == 1 + 1000)
  }

  @Test func `the end of the client's side comes behind its last request, and is known before`() throws {
    let gated = try Gated()
    try gated.receive(get + get)
    gated.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
    #expect(!gated.requests.hasInputEnded)
    gated.answer()
    #expect(gated.requests.hasInputEnded)
    #expect(gated.requests.found == ["GET /a .", "GET /a ."])
    gated.answer()
    gated.channel.embeddedEventLoop.run()

    let silent = try Gated()
    try silent.receive(get + get)
    silent.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
    silent.channel.embeddedEventLoop.advanceTime(by: .seconds(5))
    #expect(!silent.channel.isActive)
  }

  @Test func `a request for a worker leaves with all that was read behind it, and nothing more is read`()
    throws
  {
    let gated = try Gated()
    let back = "POST /back HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n"
    try gated.receive(get + back + get + "more")
    #expect(gated.left.bytes == [])
    gated.answer()
    #expect(gated.left.bytes == [back + get + "more"])
    let reads = gated.socket.reads
    gated.channel.read()
    try gated.receive(get)
    gated.channel.read()
    #expect(gated.socket.reads == reads && gated.requests.found == ["GET /a ."])
    #expect(gated.memory.taken == 0 && gated.left.bytes.count == 1)
  }

  @Test func `nothing behind the last request is kept`() throws {
    let gated = try Gated()
    try gated.receive("GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + get + get)
    #expect(gated.requests.found == ["GET /a ."])
    #expect(gated.memory.taken == 0)
    try gated.receive(get)
    gated.answer()
    #expect(gated.requests.found == ["GET /a ."])
    #expect(gated.memory.taken == 0)
  }

  @Test func `nothing behind what is no HTTP is kept`() throws {
    let gated = try Gated()
    try gated.receive("GET /a HTTP/1.1\r\nHost: a\r\n\r\n\u{1} / HTTP/1.1\r\n" + get)
    #expect(!gated.requests.hasFailed)
    gated.answer()
    #expect(gated.requests.hasFailed)
    try gated.receive(get)
    #expect(gated.requests.found == ["GET /a ."])
    #expect(gated.memory.taken == 0)
  }

  @Test func `what is kept beyond the sum ends the connection`() throws {
    let gated = try Gated(memory: 4096)
    try gated.receive(String(repeating: get, count: 50))
    #expect(gated.channel.isActive)
    try gated.receive(String(repeating: get, count: 500))
    #expect(!gated.channel.isActive)
    #expect(gated.memory.taken == 0)
  }

  @Test(arguments: 0..<200)
  func `whatever comes, no more than one request is read ahead`(_ seed: UInt64) throws {
    var random = SplitMix(seed: seed)
    var bytes = Array(messages.shuffled(using: &random).joined().utf8)
    for _ in 0..<Int.random(in: 1...8, using: &random) {
      let place = Int.random(in: bytes.indices, using: &random)
      switch Int.random(in: 0..<3, using: &random) {
      case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
      case 1: bytes.remove(at: place)
      default: bytes.insert(contentsOf: [0x0d, 0x0a, 0x30].shuffled(using: &random), at: place)
      }
    }
    let gated = try Gated()
    var rest = bytes[...]
    var answered = 0
    while !rest.isEmpty, gated.channel.isActive {
      let piece = rest.prefix(Int.random(in: 1...200, using: &random))
      rest = rest.dropFirst(piece.count)
      try gated.channel.writeInbound(ByteBuffer(bytes: piece))
      #expect(gated.answerAll(&answered) <= 1, "seed \(seed)")
    }
  }
}

/// Passes on that more is wanted only when told to.
private final class Deaf: ChannelOutboundHandler {
  typealias OutboundIn = Any
  var hears = false

  func read(context: ChannelHandlerContext) {
    if hears { context.read() }
  }
}

struct RequestPortionsTests {
  private func portions(_ text: String, _ body: RequestPortions.Body? = nil) -> [Int] {
    var portions = RequestPortions()
    if let body { portions.headEnded(body) }
    var rest = ByteBuffer(string: text)
    var counts: [Int] = []
    while rest.readableBytes > 0 {
      let count = portions.next(of: rest.readableBytesView)
      counts.append(count)
      rest.moveReaderIndex(forwardBy: count)
    }
    return counts
  }

  @Test func `a portion ends where a request can`() {
    #expect(portions("\r\n\n\r\nGET / HTTP/1.1\r\nA: b\r\n\r\nGET") == [29, 3])
    #expect(portions("a\n\nb") == [3, 1])
    #expect(portions("abcGET", .length(3)) == [3, 3])
    #expect(portions("abc", .length(5)) == [3])
    #expect(portions("2\r\n\n\n\r\n0\r\n\r\nGET", .chunked) == [12, 3])
    #expect(portions("0\r\nA: b\r\n\r\nGET", .chunked) == [11, 3])
    #expect(portions("ffffffffffffffffffffff\r\n\r\n\r\n", .chunked) == [28])
    #expect(portions(String(repeating: "1\r\na\r\n", count: 20), .chunked) == [94, 26])
  }
}
