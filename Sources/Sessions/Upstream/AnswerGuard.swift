import Bytes
import NIOCore
import NIOHTTP1
import NetworkFaults

/// Enforces `AnswerRules` for a server. It stands between the decoder and the HTTP client on every connection that Sluice makes
/// as a client. A violation fails the request and closes the connection, before the client sees it.
///
/// It also carries data that the client cannot: a target that is not a URL, and field values that are not UTF-8 (RFC 9110
/// section 5.5), which pass the codec as `OpaqueText`. And it adds bounds that the client lacks: a server that does not read a
/// request's body is disconnected, and the body bytes of one read are passed on as one part, however many chunks they came in.
final class AnswerGuard: ChannelDuplexHandler {
  typealias InboundIn = HTTPClientResponsePart
  typealias InboundOut = HTTPClientResponsePart
  typealias OutboundIn = HTTPClientRequestPart
  typealias OutboundOut = HTTPClientRequestPart

  private let patience: TimeAmount
  private var rules = AnswerRules()
  /// Whether the head of a request is being written.
  private var isWritingHead = false
  /// Whether the server has violated a rule. Nothing of it is passed on any more.
  private var hasFailed = false
  /// The body bytes of this read.
  private var body: ByteBuffer?
  /// Parts of the request's body that the kernel has not accepted yet.
  private var unsentParts = 0
  private var lastProgress = NIODeadline.uptimeNanoseconds(0)
  /// When the head of the last request was written.
  private var asked = NIODeadline.uptimeNanoseconds(0)
  private var watch: Scheduled<Void>?

  /// - Parameter patience: how long the server may accept nothing of a request's body.
  init(patience: TimeAmount) {
    self.patience = patience
  }

  /// The size of a read of an answer: 16 KiB at most.
  private static let readBuffers = AdaptiveRecvByteBufferAllocator(
    minimum: 1024, initial: 4096, maximum: 16 * 1024)

  /// Adds the guard to a new HTTP connection. If that fails, the connection is closed and not used.
  ///
  /// - Parameter channel: has the client's codec in its pipeline. Called on its event loop.
  static func protect(_ channel: any Channel, patience: TimeAmount) -> EventLoopFuture<Void> {
    channel.eventLoop.makeCompletedFuture {
      do {
        let pipeline = channel.pipeline.syncOperations
        let encoder = try pipeline.handler(type: HTTPRequestEncoder.self)
        let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPResponseDecoder>.self)
        let answers = AnswerGuard(patience: patience)
        try pipeline.addHandler(answers, position: .after(decoder))
        try pipeline.addHandler(Reads(answers), position: .before(encoder))
        channel.probeWhenSilent()
        // The client keeps up to ten reads for a slow reader of an answer. Refused only for a broken connection.
        try? channel.syncOptions?.setOption(.recvAllocator, value: Self.readBuffers)
      } catch {
        channel.close(promise: nil)
        throw error
      }
    }
  }

  /// The name of the field with which a request carries its target, which the server gets unchanged. Clients cannot send it,
  /// because names with an underscore are not passed on.
  static let targetField = "sluice_target"

  /// Stands between the codec and the socket: counts bytes before the decoder gets them, and converts heads between bytes
  /// outside and text inside. With TLS it stands after the TLS handler.
  private final class Reads: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    private let answers: AnswerGuard
    private var escaper = OpaqueText.Escaper()

    init(_ answers: AnswerGuard) {
      self.answers = answers
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      let count = unwrapInboundIn(data).readableBytes
      guard answers.follow({ (rules) throws(UpstreamFault) in try rules.reads(count) }) else { return }
      decode(unwrapInboundIn(data), context)
      answers.follow { (rules) throws(UpstreamFault) in try rules.hasDecoded() }
    }

    /// Bytes of a head that are not UTF-8 become `OpaqueText`. Where a head may end, the decoder is asked whether it did.
    private func decode(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
      guard answers.rules.waitsForHead else { return context.fireChannelRead(wrapInboundOut(bytes)) }
      var bytes = bytes
      // Looked for once: a server may send thousands of empty lines in one read.
      let last = bytes.readableBytesView.lastIndex { $0 >= 0x80 }
      while answers.rules.waitsForHead, !escaper.isEmpty || last.map({ $0 >= bytes.readerIndex }) == true {
        let length = AnswerGuard.headLength(bytes.readableBytesView)
        guard let part = bytes.readSlice(length: length) else { break }
        let isPlain = escaper.isEmpty && part.readableBytesView.allSatisfy { $0 < 0x80 }
        let text = isPlain ? part : ByteBuffer(bytes: escaper.escape(part.readableBytesView))
        context.fireChannelRead(wrapInboundOut(text))
        if bytes.readableBytes == 0 { return }
      }
      context.fireChannelRead(wrapInboundOut(bytes))
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
      guard answers.isWritingHead, case .byteBuffer(let head) = unwrapOutboundIn(data),
        let bytes = OpaqueText.unescaped(head.readableBytesView)
      else { return context.write(data, promise: promise) }
      context.write(wrapOutboundOut(.byteBuffer(ByteBuffer(bytes: bytes))), promise: promise)
    }
  }

  // MARK: - A broken rule

  private var context: ChannelHandlerContext?

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    watch?.cancel()
    watch = nil
    self.context = nil
  }

  /// - Returns: false if the server violates a rule, or has violated one.
  @discardableResult
  private func follow(_ step: (inout AnswerRules) throws(UpstreamFault) -> Void) -> Bool {
    guard !hasFailed else { return false }
    do throws(UpstreamFault) {
      try step(&rules)
      return true
    } catch {
      fail(error)
      return false
    }
  }

  /// The request gets the reason first. If the client does not close the connection, it must not use it again.
  private func fail(_ fault: UpstreamFault) {
    guard !hasFailed, let context else { return }
    hasFailed = true
    body = nil
    context.fireErrorCaught(fault)
    context.close(promise: nil)
  }
}

// MARK: - Heads

extension AnswerGuard {
  /// The length up to the first empty line, where a head can end, and the empty lines behind it, which end no other head.
  static func headLength(_ bytes: ByteBufferView) -> Int {
    var isEmpty = true
    var hasEnded = false
    for (index, byte) in bytes.enumerated() {
      switch byte {
      case UInt8(ascii: "\n"):
        hasEnded = hasEnded || isEmpty
        isEmpty = true
      case UInt8(ascii: "\r"): break
      case _ where hasEnded: return index
      default: isEmpty = false
      }
    }
    return bytes.count
  }
}

// MARK: - Answers

extension AnswerGuard {
  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head):
      var verdict = AnswerRules.Verdict.interim
      guard follow({ (rules) throws(UpstreamFault) in verdict = try rules.receives(head) }) else { return }
      if verdict == .final { context.fireChannelRead(data) }
    case .body(var part):
      guard follow({ (rules) throws(UpstreamFault) in try rules.receivesBody() }) else { return }
      if body?.writeBuffer(&part) == nil { body = part }
    case .end(let trailers):
      guard follow({ (rules) throws(UpstreamFault) in try rules.receivesEnd(trailers) }) else { return }
      passBody(context)
      context.fireChannelRead(data)
    }
  }

  private func passBody(_ context: ChannelHandlerContext) {
    guard let body else { return }
    self.body = nil
    context.fireChannelRead(wrapInboundOut(.body(body)))
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    passBody(context)
    context.fireChannelReadComplete()
  }

  func channelInactive(context: ChannelHandlerContext) {
    passBody(context)
    if !hasFailed, let fault = faultAtEnd(context) {
      hasFailed = true
      context.fireErrorCaught(fault)
    }
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if let fault = UpstreamFault(decoding: error) {
      fail(fault)
    } else if faultAtEnd(context) == .closedIdle {
      // For example after a reset.
      fail(.closedIdle)
    } else {
      context.fireErrorCaught(error)
    }
  }

  private func faultAtEnd(_ context: ChannelHandlerContext) -> UpstreamFault? {
    rules.faultAtEnd(after: context.eventLoop.now - asked)
  }
}

// MARK: - Requests

extension AnswerGuard {
  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    switch unwrapOutboundIn(data) {
    case .head(var head):
      guard follow({ (rules) throws(UpstreamFault) in try rules.requestBegins() }) else {
        promise?.fail(UpstreamFault.disorder)
        return
      }
      if let target = head.headers.first(name: Self.targetField) {
        head.uri = target
        head.headers.remove(name: Self.targetField)
      }
      asked = context.eventLoop.now
      isWritingHead = true
      context.write(wrapOutboundOut(.head(head)), promise: promise)
      isWritingHead = false
    case .body:
      let promise = promise ?? context.eventLoop.makePromise()
      unsentParts += 1
      if unsentParts == 1 { lastProgress = context.eventLoop.now }
      // `assumeIsolated` is sound: a handler runs on the loop of its channel, whose promises and tasks are used here.
      promise.futureResult.assumeIsolated().whenComplete { [self] _ in
        unsentParts -= 1
        lastProgress = context.eventLoop.now
      }
      context.write(data, promise: promise)
      if watch == nil { watchProgress(context) }
    case .end:
      follow { (rules) throws(UpstreamFault) in rules.requestEnds() }
      context.write(data, promise: promise)
    }
  }

  /// One timer while a part is unsent, however many parts there are.
  private func watchProgress(_ context: ChannelHandlerContext) {
    watch = context.eventLoop.assumeIsolated().scheduleTask(deadline: lastProgress + patience) { [self] in
      watch = nil
      guard unsentParts > 0 else { return }
      guard context.eventLoop.now < lastProgress + patience else { return fail(.takesNothing) }
      watchProgress(context)
    }
  }
}

@available(*, unavailable)
extension AnswerGuard: Sendable {}
