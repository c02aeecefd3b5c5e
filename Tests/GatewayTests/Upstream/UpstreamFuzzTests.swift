import Foundation
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing
import WebSocketCore

@testable import Gateway
@testable import Sessions

/// 100,000 answers of servers, most of them mutated, through all that asks servers. What must not happen is that the process ends or
/// that something waits forever; and an answer that is as it should be is taken, whatever came before it.
@Suite(.serialized) struct UpstreamFuzzTests {
  /// Through the whole HTTP client: a proxy, a call-back, a set of keys. In a process of its own, so that a trap is a failure of this
  /// test with its seeds, and not the end of all tests.
  @Test func `no answer ends the HTTP client, nor lets it wait forever`() async throws {
    let path = FileManager.default.temporaryDirectory.appending(path: "sluice-fuzz-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    let result = await #expect(
      processExitsWith: .success, observing: [\.standardErrorContent]
    ) { [path = path as String] in
      try await askAll(rounds: 5000, lanesOfEach: 3, SeedFile(path))
    }
    if result?.exitStatus != .exitCode(0) {
      let said = String(decoding: (result?.standardErrorContent ?? []).suffix(4000), as: UTF8.self)
      Issue.record("the seeds under way were \(SeedFile.seeds(in: path)); the end of what it said: \(said)")
    }
  }
}

// MARK: - Without a socket

/// Stands where the HTTP client is, and believes nothing: only what the client itself takes without ending the process.
private final class Contract: ChannelInboundHandler {
  typealias InboundIn = HTTPClientResponsePart

  private enum Phase { case nothing, head, body, over }

  private var phase = Phase.nothing
  var isKept = true

  func expectAnswer() { phase = .head }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch (phase, unwrapInboundIn(data)) {
    case (.head, .head(let head)):
      phase = .body
      isKept = isKept && head.status.code >= 200
    case (.body, .body): break
    case (.body, .end): phase = .nothing
    case (.over, _): isKept = false
    case (_, _): isKept = false
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { phase = .over }
}

extension UpstreamFuzzTests {
  @Test func `whatever the decoder makes of an answer, the client gets a head, a body and an end`() throws {
    var good = 0
    for seed in 0..<UInt64(10_000) {
      let answer = HostileAnswer(.page, seed: seed)
      let channel = EmbeddedChannel()
      let contract = Contract()
      let pipeline = channel.pipeline.syncOperations
      try pipeline.addHandler(HTTPRequestEncoder())
      try pipeline.addHandler(
        ByteToMessageHandler(HTTPResponseDecoder(informationalResponseStrategy: .forward)))
      try pipeline.addHandler(contract)
      try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
      try AnswerGuard.protect(channel, patience: .seconds(60)).wait()
      let method: HTTPMethod = seed % 8 == 0 ? .HEAD : .GET
      channel.write(
        HTTPClientRequestPart.head(.init(version: .http1_1, method: method, uri: "/")), promise: nil)
      contract.expectAnswer()
      if seed % 5 != 0 { channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil) }
      for piece in answer.pieces { _ = try? channel.writeInbound(ByteBuffer(bytes: piece)) }
      channel.pipeline.fireChannelInactive()
      _ = try? channel.finish(acceptAlreadyClosed: true)
      #expect(contract.isKept, "seed \(seed)")
      if answer.isGood { good += 1 }
    }
    #expect(good > 1000)
  }

  @Test func `no answer to a WebSocket handshake is more than refused`() throws {
    final class Frames: FrameSink {
      func message(_ kind: MessageKind, _ payload: RawSpan) -> Flow { .proceed }
      func ping(_ payload: RawSpan) -> Flow { .proceed }
      func pong(_ payload: RawSpan) -> Flow { .proceed }
      func close(_ code: CloseCode?, _ reason: RawSpan) -> Flow { .stop }
    }
    let handshake = ClientHandshake(target: "/", host: "a", nonce: HostileAnswer.nonce)
    var opened = 0
    for seed in 0..<UInt64(75_000) {
      let answer = HostileAnswer(.webSocket, seed: seed)
      var reader = ResponseReader()
      var decoder: MessageDecoder?
      var isOpen = false
      reading: for piece in answer.pieces {
        var bytes = piece
        if decoder == nil {
          switch unsafe reader.read(piece.span.bytes) {
          case .incomplete: continue
          case .malformed: break reading
          case .complete(let head):
            guard case .success = handshake.check(head) else { break reading }
            isOpen = true
            decoder = MessageDecoder(maximumMessage: 1 << 20, from: .server)
            bytes = reader.rest
          }
        }
        guard !bytes.isEmpty else { continue }
        var span = bytes.mutableSpan
        var raw = unsafe span.mutableBytes
        do { try decoder?.decode(&raw, into: Frames()) } catch { break }
      }
      if isOpen { opened += 1 }
      if answer.isGood { #expect(isOpen, "seed \(seed)") }
    }
    #expect(opened > 5000)
  }
}
