import Bytes
import NIOCore
import NIOHTTP1
import WebSocketCore

/// Holds the messages of one connection to what HTTP/1 asks whoever answers: which requests are taken, which answers have a
/// body, and when the connection ends.
///
/// Stands between NIO's codec and all that knows a request only by its meaning.
final class MessageRules: ChannelDuplexHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias InboundOut = HTTPServerRequestPart
  typealias OutboundIn = HTTPServerResponsePart
  typealias OutboundOut = HTTPServerResponsePart

  /// Triggered as an outbound event: the body of the request that is being answered is read now, which a client may wait for.
  struct BodyIsWanted: Sendable {}

  /// What of the client is still listened to.
  private enum Taking {
    case requests
    /// The rest of a request that is the last one.
    case rest
    case nothing
  }

  /// An answer whose head is written and whose end is not.
  private struct Answer {
    var hasBody: Bool
    var isToHEAD: Bool
    var endsConnection: Bool
  }

  /// Nil where the parser is given whatever comes.
  private let gate: RequestGate?
  private var taking = Taking.requests {
    didSet { if taking == .nothing, oldValue != .nothing { gate?.discard() } }
  }
  /// Those that are not answered yet, in their order.
  private var exchanges = CircularBuffer<MessageExchange>()
  private var answer: Answer?
  private var isStopping = false
  private var isInputClosed = false
  /// Whether an answer has been written that nothing comes behind.
  private var isAtItsEnd = false
  private var isFinishing = false
  private var deadline: Scheduled<Void>?

  /// How long the client has to close its side, so that no reset overtakes the end of the answer (RFC 9112 section 9.6).
  private static let lingering = TimeAmount.seconds(2)
  /// How long a client that has closed its side waits for an answer to begin: nearly always it has gone.
  private static let halfClosedPatience = TimeAmount.seconds(5)

  /// Told why the connection's last request cannot be understood, once.
  private var refused: ((String) -> Void)?

  init(gate: RequestGate? = nil, refused: ((String) -> Void)? = nil) {
    self.gate = gate
    self.refused = refused
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    deadline?.cancel()
  }
}

// MARK: - Requests

extension MessageRules {
  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch (unwrapInboundIn(data), taking) {
    case (_, .nothing): return
    case (.head, .rest): taking = .nothing
    case (.head(let head), .requests):
      guard Self.isUnderstood(head) else {
        // As what does not parse: answered in its turn, and then the connection ends.
        taking = .nothing
        refuse("its framing, its Host or a value in its head is not allowed")
        return context.fireErrorCaught(HTTPParserError.invalidHeaderToken)
      }
      let exchange = MessageExchange(head)
      exchanges.append(exchange)
      gate?.headEnded(Self.body(behind: head))
      if !exchange.keepsConnection { taking = .rest }
      context.fireChannelRead(data)
    case (.body, _): context.fireChannelRead(data)
    case (.end, _):
      if !exchanges.isEmpty { exchanges[exchanges.index(before: exchanges.endIndex)].isRead = true }
      gate?.requestEnded()
      if taking == .rest { taking = .nothing }
      context.fireChannelRead(data)
    }
  }

  /// What is no HTTP is answered, where it still can be, and nothing behind it can be understood.
  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if taking != .nothing, let error = error as? HTTPParserError { refuse("\(error)") }
    taking = .nothing
    context.fireErrorCaught(error)
  }

  private func refuse(_ reason: String) {
    refused?(reason)
    refused = nil
  }

  private static func body(behind head: HTTPRequestHead) -> RequestPortions.Body {
    guard head.headers["transfer-encoding"].isEmpty else { return .chunked }
    // The parser has seen that it is a number; one too large for us is larger than any limit.
    return .length(head.headers.first(name: "content-length").map { Int($0) ?? .max } ?? 0)
  }

  /// What the parser leaves to us: one host, and no coding of the body that would be lost on the way.
  private static func isUnderstood(_ head: HTTPRequestHead) -> Bool {
    let codings = head.headers["transfer-encoding"]
    // Values are compared, as a request's head on the reactor is.
    guard !head.headers.contains(where: { $0.value.hasTooManyMarks }) else { return false }
    return RequestHead.fault(inHosts: head.headers["host"], minorVersion: head.version.minor) == nil
      && (codings.isEmpty || head.version.minor == 1 && codings.map { $0.lowercased() } == ["chunked"])
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    context.fireChannelReadComplete()
    // Nobody else asks for more now.
    if isFinishing { context.read() }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    switch event {
    case is ChannelShouldQuiesceEvent: isStopping = true
    case ChannelEvent.inputClosed: inputClosed(context)
    case is RequestGate.InputHasEnded: return inputClosed(context)
    default: break
    }
    context.fireUserInboundEventTriggered(event)
  }

  private func inputClosed(_ context: ChannelHandlerContext) {
    isInputClosed = true
    if isFinishing { return context.close(promise: nil) }
    guard !exchanges.isEmpty, answer == nil else { return }
    end(after: Self.halfClosedPatience, context) { [self] in answer == nil && !isFinishing }
  }
}

// MARK: - Answers

extension MessageRules {
  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    switch unwrapOutboundIn(data) {
    case .head(let head): writeHead(head, context, promise)
    case .body:
      guard answer?.hasBody == true else {
        promise?.succeed()
        return
      }
      context.write(data, promise: promise)
    case .end: writeEnd(data, context, promise)
    }
  }

  private func writeHead(
    _ original: HTTPResponseHead, _ context: ChannelHandlerContext, _ promise: EventLoopPromise<Void>?
  ) {
    guard answer == nil else {
      // The first answer has broken off; a second one inside it would be taken for its body.
      promise?.fail(ChannelError.operationUnsupported)
      return context.close(promise: nil)
    }
    let exchange = exchanges.first ?? .unreadable
    var head = original
    let isToHEAD = exchange.method == .HEAD
    let hasBody = !isToHEAD && ![204, 205, 304].contains(head.status.code)
    if head.status == .resetContent { head.headers.replaceOrAdd(name: "Content-Length", value: "0") }
    head.version = exchange.version
    let isOld = exchange.version == .http1_0
    let isUnending = hasBody && isOld && !head.headers.contains(name: "content-length")
    let endsConnection = !exchange.keepsConnection || !exchange.isRead || isStopping || isUnending
    answer = Answer(hasBody: hasBody, isToHEAD: isToHEAD, endsConnection: endsConnection)
    if endsConnection {
      let others = head.headers[canonicalForm: "connection"].filter { $0.lowercased() != "close" }
      head.headers.replaceOrAdd(name: "Connection", value: (["close"] + others).joined(separator: ", "))
    } else if isOld {
      head.headers.replaceOrAdd(name: "Connection", value: "keep-alive")
    }
    if !head.headers.contains(name: "date") { head.headers.add(name: "Date", value: HTTPDate.now) }
    context.write(wrapOutboundOut(.head(head)), promise: promise)
  }

  private func writeEnd(_ data: NIOAny, _ context: ChannelHandlerContext, _ promise: EventLoopPromise<Void>?)
  {
    guard let answer else {
      promise?.fail(ChannelError.operationUnsupported)
      return
    }
    self.answer = nil
    if !exchanges.isEmpty { exchanges.removeFirst() }
    // The encoder would close a chunked body, not knowing that there is none behind the answer to HEAD.
    let nothing = ByteBuffer()
    let part = answer.isToHEAD ? wrapOutboundOut(.body(.byteBuffer(nothing))) : data
    guard answer.endsConnection else {
      context.write(part, promise: promise)
      gate?.answered()
      return
    }
    taking = .nothing
    isAtItsEnd = true
    let promise = promise ?? context.eventLoop.makePromise()
    promise.futureResult.assumeIsolated().whenComplete { [self] _ in finish(context, nil) }
    context.write(part, promise: promise)
  }

  func triggerUserOutboundEvent(
    context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?
  ) {
    guard event is BodyIsWanted else { return context.triggerUserOutboundEvent(event, promise: promise) }
    promise?.succeed()
    guard let exchange = exchanges.first, exchange.waitsForContinue, answer == nil else { return }
    exchanges[exchanges.startIndex].waitsForContinue = false
    let head = HTTPResponseHead(version: .http1_1, status: .continue)
    context.writeAndFlush(wrapOutboundOut(.head(head)), promise: nil)
  }
}

// MARK: - The end

extension MessageRules {
  func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    switch mode {
    case .output: finish(context, promise)
    // Whoever closes behind the last answer, a stop for one, must not take it from a client that is still sending.
    case .all where isAtItsEnd:
      context.channel.closeFuture.cascade(to: promise)
      finish(context, nil)
    case .all, .input: context.close(mode: mode, promise: promise)
    }
  }

  /// Closes our side, and the whole when the client has closed its own or takes too long.
  private func finish(_ context: ChannelHandlerContext, _ promise: EventLoopPromise<Void>?) {
    guard !isFinishing else {
      promise?.succeed()
      return
    }
    isFinishing = true
    taking = .nothing
    let closed = promise ?? context.eventLoop.makePromise()
    closed.futureResult.assumeIsolated().whenComplete { [self] _ in
      if isInputClosed { return context.close(promise: nil) }
      end(after: Self.lingering, context) { true }
      context.read()
    }
    context.close(mode: .output, promise: closed)
  }

  private func end(
    after time: TimeAmount, _ context: ChannelHandlerContext, if isDue: @escaping () -> Bool
  ) {
    deadline?.cancel()
    guard context.channel.isActive else { return }
    deadline = context.eventLoop.assumeIsolated().scheduleTask(in: time) {
      if isDue() { context.close(promise: nil) }
    }
  }
}

@available(*, unavailable)
extension MessageRules: Sendable {}

/// A request on its way to its answer, as far as the connection is concerned.
private struct MessageExchange {
  var method: HTTPMethod
  /// What the client understands.
  var version: HTTPVersion
  /// Whether another request may come behind it.
  var keepsConnection: Bool
  /// Whether it holds its body back until it is asked for it (RFC 9110 section 10.1.1).
  var waitsForContinue = false
  /// Whether the end of its body has arrived.
  var isRead = false

  /// What could not be read: whatever comes behind it is not to be understood either.
  static let unreadable = MessageExchange(method: .GET, version: .http1_1, keepsConnection: false)
}

extension MessageExchange {
  init(_ head: HTTPRequestHead) {
    let options = head.headers[canonicalForm: "connection"].map { $0.lowercased() }
    let isOld = head.version.minor == 0
    method = head.method
    version = isOld ? .http1_0 : .http1_1
    keepsConnection = isOld ? options.contains("keep-alive") : !options.contains("close")
    // The parser takes nothing behind a request for another protocol.
    if head.headers.contains(name: "upgrade") || head.method == .CONNECT { keepsConnection = false }
    waitsForContinue = !isOld && head.headers["expect"].contains { $0.lowercased() == "100-continue" }
  }
}
