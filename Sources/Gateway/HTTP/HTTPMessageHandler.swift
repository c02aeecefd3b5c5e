import Bytes
import NIOCore
import NIOHTTP1
import Sessions
import WebSocketCore

/// Enforces the rules of HTTP/1 for the messages of one connection: which requests are accepted, which answers have a body, and
/// when the connection ends.
///
/// Stands between NIO's codec and the handlers that know only the meaning of a request.
final class HTTPMessageHandler: ChannelDuplexHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias InboundOut = HTTPServerRequestPart
  typealias OutboundIn = HTTPServerResponsePart
  typealias OutboundOut = HTTPServerResponsePart

  /// Triggered as an outbound event when the body of the current request is about to be read. The client may wait for that.
  struct BodyIsWanted: Sendable {}

  /// Fired as an inbound event: the next answer is the last one.
  struct Stop: Sendable {
    /// How long a connection that waits for a request is kept for one.
    var lastRequests: TimeAmount
  }

  /// Which bytes of the client are still handled.
  private enum Taking {
    case requests
    /// The rest of the last request.
    case rest
    case nothing
  }

  /// An answer whose head is written and whose end is not.
  private struct Answer {
    var hasBody: Bool
    var isToHEAD: Bool
    var endsConnection: Bool
  }

  private let gate: RequestGate
  private var taking = Taking.requests {
    didSet { if taking == .nothing, oldValue != .nothing { gate.discard() } }
  }
  /// Requests that are not answered yet, in their order.
  private var exchanges = CircularBuffer<MessageExchange>()
  private var answer: Answer?
  private var isStopping = false
  private var isInputClosed = false
  /// Whether the last answer of the connection has been written.
  private var isAtItsEnd = false
  /// A worker has the connection, with the request whose head was read last.
  private var hasLeft = false
  private var isFinishing = false
  private var deadline: Scheduled<Void>?
  /// Why the rest of the client's bytes cannot be understood. The answer to them says so.
  private var fault: HandshakeRefusal?
  /// Called with the fault, for the log.
  private let refused: (HandshakeRefusal) -> Void
  /// Whether a request is for a worker, and not for this connection.
  private let isForWorker: (HTTPRequestHead) -> Bool
  /// Takes the connection away, with the bytes of such a request and what was read behind it.
  private let leaves: ([UInt8]) -> Void

  /// How long the client has to close its side, so that a reset does not destroy the end of the answer (RFC 9112 section 9.6).
  private static let lingering = TimeAmount.seconds(2)
  /// How long a client that has closed its side waits for an answer to begin. Nearly always such a client is gone.
  private static let halfClosedPatience = TimeAmount.seconds(5)

  init(
    gate: RequestGate, refused: @escaping (HandshakeRefusal) -> Void = { _ in },
    isForWorker: @escaping (HTTPRequestHead) -> Bool = { _ in false },
    leaves: @escaping ([UInt8]) -> Void = { _ in }
  ) {
    self.gate = gate
    self.refused = refused
    self.isForWorker = isForWorker
    self.leaves = leaves
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    deadline?.cancel()
  }
}

// MARK: - Requests

extension HTTPMessageHandler {
  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch (unwrapInboundIn(data), taking) {
    case (_, .nothing): return
    case (.head, .rest): taking = .nothing
    case (.head(var head), .requests):
      if let fault = Self.fault(in: &head) {
        // Handled like bytes that do not parse: answered in turn, and then the connection ends.
        taking = .nothing
        refuse(.badRequest(fault))
        return context.fireErrorCaught(HTTPParserError.invalidHeaderToken)
      }
      guard !isForWorker(head) else {
        let rest = gate.leave()
        taking = .nothing
        hasLeft = true
        return leaves(head.bytes + rest)
      }
      let exchange = MessageExchange(head)
      exchanges.append(exchange)
      gate.headEnded(Self.body(behind: head))
      if !exchange.keepsConnection { taking = .rest }
      context.fireChannelRead(wrapInboundOut(.head(head)))
    case (.body, _): context.fireChannelRead(data)
    case (.end, _):
      if !exchanges.isEmpty { exchanges[exchanges.index(before: exchanges.endIndex)].isRead = true }
      gate.requestEnded()
      if taking == .rest { taking = .nothing }
      context.fireChannelRead(data)
    }
  }

  /// Answers bytes that are not HTTP, if that is still possible. Nothing after them can be understood.
  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    taking = .nothing
    // The parser misses the rest of a request that a worker reads.
    guard !hasLeft else { return }
    // A client that has its last answer need not send the rest of its request.
    let isFault = !isAtItsEnd || (error as? HTTPParserError) != .invalidEOFState
    if isFault, let error = error as? HTTPParserError {
      refuse(HandshakeRefusal(parsing: error, in: gate.headBeingRead).reason)
    }
    context.fireErrorCaught(error)
  }

  private func refuse(_ reason: Refusal) {
    guard fault == nil else { return }
    let fault = HandshakeRefusal(reason)
    self.fault = fault
    refused(fault)
  }

  private static func body(behind head: HTTPRequestHead) -> RequestPortions.Body {
    guard head.headers["transfer-encoding"].isEmpty else { return .chunked }
    // The parser has checked that it is a number. One that does not fit is larger than any limit.
    return .length(head.headers.first(name: "content-length").map { Int($0) ?? .max } ?? 0)
  }

  /// Checks what the parser does not: one host, a target for it, and no transfer coding that would be lost.
  ///
  /// - Returns: what is wrong; nil if the request is valid, whose target is then in origin form.
  private static func fault(in head: inout HTTPRequestHead) -> String? {
    // Values are compared with others, as in the head of a request on the reactor.
    guard !head.headers.contains(where: { $0.value.hasTooManyMarks }) else {
      return "a header value has too many combining marks in a row"
    }
    let hosts = head.headers["host"]
    if let fault = RequestHead.fault(inHosts: hosts, minorVersion: head.version.minor) { return fault }
    guard head.uri.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
      return "the request target has characters that must be percent-encoded"
    }
    if !head.uri.hasPrefix("/"), head.method != .CONNECT {
      switch RequestTarget.originForm(of: Array(head.uri.utf8), host: hosts.first) {
      case .success(let target): head.uri = String(decoding: target, as: UTF8.self)
      case .failure(let fault): return fault.text
      }
    }
    let codings = head.headers["transfer-encoding"]
    guard codings.isEmpty || codings.map({ $0.lowercased() }) == ["chunked"] else {
      return "the body has a transfer coding other than chunked"
    }
    guard codings.isEmpty || head.version.minor == 1 else {
      return "HTTP/1.0 does not support Transfer-Encoding"
    }
    return nil
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    context.fireChannelReadComplete()
    // No other handler asks for more now.
    if isFinishing { context.read() }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    switch event {
    case let stop as Stop: return self.stop(stop.lastRequests, context)
    case ChannelEvent.inputClosed: inputClosed(context)
    case is RequestGate.InputHasEnded: return inputClosed(context)
    default: break
    }
    context.fireUserInboundEventTriggered(event)
  }

  private func stop(_ time: TimeAmount, _ context: ChannelHandlerContext) {
    isStopping = true
    // A connection that has begun to end keeps the deadline of its end.
    guard exchanges.isEmpty, answer == nil, !isFinishing else {
      return context.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
    }
    end(after: time, context) {
      // Whoever knows whether a request is being answered closes the connection.
      context.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
      return false
    }
  }

  private func inputClosed(_ context: ChannelHandlerContext) {
    isInputClosed = true
    if isFinishing { return context.close(promise: nil) }
    guard !exchanges.isEmpty, answer == nil else { return }
    end(after: Self.halfClosedPatience, context) { [self] in answer == nil && !isFinishing }
  }
}

// MARK: - Answers

extension HTTPMessageHandler {
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
      // The first answer broke off. A second one would be read as part of its body.
      promise?.fail(ChannelError.operationUnsupported)
      return context.close(promise: nil)
    }
    let exchange = exchanges.first ?? .unreadable
    var head = original
    let reason = exchange.isRead ? nil : explainFault(in: &head)
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
    gate.writeHead { context.write(wrapOutboundOut(.head(head)), promise: promise) }
    if hasBody, let reason { context.write(wrapOutboundOut(.body(.byteBuffer(reason))), promise: nil) }
  }

  /// Says what is wrong with a request that does not parse. The server answers it without knowing that.
  ///
  /// - Returns: the body; nil if the answer is another one.
  private func explainFault(in head: inout HTTPResponseHead) -> ByteBuffer? {
    guard let fault, head.status == .badRequest, head.headers.first(name: "content-length") == "0" else {
      return nil
    }
    let text = ByteBuffer(string: fault.text + "\n")
    head.status = HTTPResponseStatus(statusCode: fault.status)
    head.headers.replaceOrAdd(name: "Content-Type", value: "text/plain; charset=utf-8")
    head.headers.replaceOrAdd(name: "Content-Length", value: "\(text.readableBytes)")
    return text
  }

  private func writeEnd(_ data: NIOAny, _ context: ChannelHandlerContext, _ promise: EventLoopPromise<Void>?)
  {
    guard let answer else {
      promise?.fail(ChannelError.operationUnsupported)
      return
    }
    self.answer = nil
    if !exchanges.isEmpty { exchanges.removeFirst() }
    // The encoder would add the end of a chunked body, although the answer to HEAD has none.
    let nothing = ByteBuffer()
    let part = answer.isToHEAD ? wrapOutboundOut(.body(.byteBuffer(nothing))) : data
    guard answer.endsConnection else {
      context.write(part, promise: promise)
      gate.answered()
      return
    }
    taking = .nothing
    isAtItsEnd = true
    let promise = promise ?? context.eventLoop.makePromise()
    // `assumeIsolated` is sound: a handler runs on the loop of its channel, whose promises and tasks are used here.
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

extension HTTPMessageHandler {
  func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    switch mode {
    case .output: finish(context, promise)
    // A close after the last answer, as by a stop, must not cut off a client that is still sending; nor one while no request is
    // known, as the next one may be on its way.
    case .all where isAtItsEnd || exchanges.isEmpty && answer == nil && !hasLeft:
      context.channel.closeFuture.cascade(to: promise)
      finish(context, nil)
    case .all, .input: context.close(mode: mode, promise: promise)
    }
  }

  /// Closes our side, and then the connection when the client has closed its own or takes too long.
  private func finish(_ context: ChannelHandlerContext, _ promise: EventLoopPromise<Void>?) {
    guard !isFinishing else {
      promise?.succeed()
      return
    }
    isFinishing = true
    taking = .nothing
    let closed = promise ?? context.eventLoop.makePromise()
    // `assumeIsolated`, here and below: a handler is called on its channel's loop.
    closed.futureResult.assumeIsolated().whenComplete { [self] _ in
      if isInputClosed { return context.close(promise: nil) }
      end(after: Self.lingering, context) { true }
      context.read()
    }
    context.close(mode: .output, promise: closed)
  }

  private func end(after time: TimeAmount, _ context: ChannelHandlerContext, if isDue: @escaping () -> Bool) {
    deadline?.cancel()
    guard context.channel.isActive else { return }
    deadline = context.eventLoop.assumeIsolated().scheduleTask(in: time) {
      if isDue() { context.close(promise: nil) }
    }
  }
}

@available(*, unavailable)
extension HTTPMessageHandler: Sendable {}

/// A request that is not answered yet, as far as it matters for the connection.
private struct MessageExchange {
  var method: HTTPMethod
  /// The client's HTTP version.
  var version: HTTPVersion
  /// Whether another request may follow it.
  var keepsConnection: Bool
  /// Whether the client waits for `100 Continue` before it sends the body (RFC 9110 section 10.1.1).
  var waitsForContinue = false
  /// Whether the end of its body has arrived.
  var isRead = false

  /// A request that could not be read. Nothing after it can be understood.
  static let unreadable = MessageExchange(method: .GET, version: .http1_1, keepsConnection: false)
}

extension MessageExchange {
  init(_ head: HTTPRequestHead) {
    let options = head.headers[canonicalForm: "connection"].map { $0.lowercased() }
    let isOld = head.version.minor == 0
    method = head.method
    version = isOld ? .http1_0 : .http1_1
    keepsConnection = isOld ? options.contains("keep-alive") : !options.contains("close")
    // The parser ignores everything after a request for another protocol.
    if head.headers.contains(name: "upgrade") || head.method == .CONNECT { keepsConnection = false }
    waitsForContinue = !isOld && head.headers["expect"].contains { $0.lowercased() == "100-continue" }
  }
}

extension HandshakeRefusal {
  /// - Parameter head: the part of the head that the parser was reading.
  fileprivate init(parsing error: HTTPParserError, in head: ByteBuffer) {
    let reason: Refusal =
      switch error {
      case .headerOverflow: .headTooLong
      case .invalidMethod: .unknownMethod
      case .invalidVersion: .unsupportedHTTP
      case .unexpectedContentLength: .badRequest("the request has more than one Content-Length header")
      // Among others, a Transfer-Encoding behind a Content-Length.
      case .unknown: .badRequest(ContentLengthField(in: head).encodingFault)
      case .invalidContentLength: .badRequest(ContentLengthField(in: head).fault)
      case .invalidChunkSize: .badRequest("a chunk of the body does not begin with its size")
      case .invalidEOFState: .badRequest("the request ends too early")
      case .invalidHeaderToken:
        .badRequest("a header name is not a valid token, or a header value has control characters")
      case .invalidURL, .invalidPath, .invalidHost, .invalidPort, .invalidQueryString, .invalidFragment:
        .badRequest("the request target is not a path")
      case .strictModeAssertion, .lfExpected:
        .badRequest("a line does not end with CR and LF where it should")
      case .invalidConstant: .badRequest("the request is not HTTP/1")
      default: .badRequest("\(error)")
      }
    self.init(reason)
  }
}

/// The first Content-Length header of a head that did not parse. The parser has one error for several faults of it.
private enum ContentLengthField {
  /// There is none in the part of the head that is known.
  case missing
  case number
  case notANumber
  case behindTransferEncoding

  init(in head: ByteBuffer) {
    self = .missing
    var hasEncoding = false
    for line in head.readableBytesView.split(separator: UInt8(ascii: "\n")) {
      let field = line.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
      guard field.count == 2 else { continue }
      switch String(decoding: field[0], as: UTF8.self).lowercased() {
      case "transfer-encoding": hasEncoding = true
      case "content-length":
        self = hasEncoding ? .behindTransferEncoding : Self.isNumber(field[1]) ? .number : .notANumber
        return
      default: continue
      }
    }
  }

  private static func isNumber(_ value: some BidirectionalCollection<UInt8>) -> Bool {
    let isSpace = { (byte: UInt8) in [0x20, 0x09, 0x0D].contains(byte) }
    let text = value.drop(while: isSpace).reversed().drop(while: isSpace)
    return !text.isEmpty && text.allSatisfy(\.isDigit)
  }

  /// RFC 9112 section 6.1.
  static let besideTransferEncoding =
    "the Transfer-Encoding header is not supported beside a Content-Length header"

  /// What is wrong with it if the parser refuses it.
  var fault: String {
    switch self {
    case .behindTransferEncoding: Self.besideTransferEncoding
    case .number: "the number in the Content-Length header is too large"
    case .notANumber: "the Content-Length header is not one number"
    case .missing:
      "the Content-Length header is not one number, is too large, or stands beside a Transfer-Encoding header"
    }
  }

  /// What is wrong with a Transfer-Encoding header that the parser refuses.
  var encodingFault: String {
    switch self {
    case .missing: "the Transfer-Encoding header is not supported, or stands beside a Content-Length"
    case .number, .notANumber, .behindTransferEncoding: Self.besideTransferEncoding
    }
  }
}
