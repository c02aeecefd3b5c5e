import Bytes
import NIOCore
import Transport

/// Passes the bytes of a connection on to the HTTP parser only up to the end of one request, and continues when that request
/// has been answered and the client has received its answers.
///
/// NIO's parser decodes all bytes of a read: hundreds of pipelined requests in 64 KiB, each many times its size in memory. The
/// gate keeps the rest undecoded, and does not read from the socket while it keeps bytes, so that the client has to wait. Field
/// values are opaque bytes (RFC 9110 section 5.5), but the parser reads them as UTF-8. Bytes of a head that are not UTF-8
/// therefore pass the parser as `OpaqueText`, and the encoder's output is turned back into the same bytes. The gate stands
/// between the socket and the parser; `HTTPMessageHandler`, after the parser, reports what the parser found.
final class RequestGate: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer
  typealias OutboundIn = IOData
  typealias OutboundOut = IOData

  /// Fired as an inbound event: the client has closed its side, and earlier requests are still kept here. NIO's own event,
  /// after which the parser accepts nothing, follows the last of them.
  struct InputHasEnded: Sendable {}

  private enum Phase {
    /// A request is being read, or the next one is expected.
    case reading
    /// A request has been read and is not answered yet.
    case answering
    /// Further bytes are dropped.
    case discarding
    /// Somebody else reads on from the socket.
    case left
  }

  private var phase = Phase.reading
  private var portions = RequestPortions()
  /// Bytes that were read and not passed on.
  private var kept = ByteBuffer()
  private let share: MemoryShare
  /// Whether a later handler has asked for more. The worker's first bytes arrive without being asked for.
  private var isWanted = true
  private var isHandingOn = false
  /// Whether the end of the client's side follows the kept bytes.
  private var endsBehindKept = false
  private var context: ChannelHandlerContext?
  private var escaper = OpaqueText.Escaper()
  /// Whether the head of an answer is being written.
  private var isWritingHead = false
  /// What the parser reads at the moment of a head; empty otherwise.
  private(set) var headBeingRead = ByteBuffer()

  /// Portions in one turn, before other connections on the event loop have theirs.
  private static let mostPerTurn = 16

  /// - Parameter share: counts the kept bytes.
  init(share: MemoryShare) {
    self.share = share
  }

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    self.context = nil
    forget()
  }

  private func forget() {
    kept = ByteBuffer()
    share.resize(to: 0)
  }
}

@available(*, unavailable)
extension RequestGate: Sendable {}

// MARK: - What the parser found

extension RequestGate {
  func headEnded(_ body: RequestPortions.Body) {
    portions.headEnded(body)
  }

  func requestEnded() {
    portions.requestEnded()
    if phase == .reading { phase = .answering }
  }

  /// The answer to the request has been written.
  func answered() {
    guard phase == .answering else { return }
    phase = .reading
    handOn()
  }

  /// Reads nothing more from the socket.
  ///
  /// - Returns: what was read behind the request whose head has just ended.
  func leave() -> [UInt8] {
    phase = .left
    let rest = Array(kept.readableBytesView)
    forget()
    return rest
  }

  /// Accepts no further request on this connection.
  func discard() {
    guard phase != .left else { return }
    phase = .discarding
    forget()
    // If bytes are being passed on now, that loop continues by itself.
    guard !isHandingOn, let context else { return }
    handOn()
    endIfDue(context)
  }
}

// MARK: - What comes

extension RequestGate {
  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard phase != .discarding, phase != .left else { return }
    var bytes = unwrapInboundIn(data)
    if kept.readableBytes == 0 { kept = bytes } else { kept.writeBuffer(&bytes) }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    guard phase != .discarding, phase != .left else { return context.fireChannelReadComplete() }
    handOn()
    keep(context)
  }

  /// Counts the kept bytes, and frees a buffer that is mostly empty.
  private func keep(_ context: ChannelHandlerContext) {
    if kept.readableBytes < kept.storageCapacity / 2 {
      kept = kept.readableBytes == 0 ? ByteBuffer() : ByteBuffer(bytes: kept.readableBytesView)
    }
    guard !share.resize(to: kept.storageCapacity) else { return }
    // Memory is needed, and this client sends ahead of its answers.
    discard()
    context.close(promise: nil)
  }

  func read(context: ChannelHandlerContext) {
    isWanted = true
    handOn()
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    context.fireChannelWritabilityChanged()
    handOn()
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard case ChannelEvent.inputClosed = event, kept.readableBytes > 0, phase != .discarding else {
      return context.fireUserInboundEventTriggered(event)
    }
    endsBehindKept = true
    context.fireUserInboundEventTriggered(InputHasEnded())
  }

  func channelInactive(context: ChannelHandlerContext) {
    phase = .discarding
    endsBehindKept = false
    forget()
    context.fireChannelInactive()
  }

  private func endIfDue(_ context: ChannelHandlerContext) {
    guard endsBehindKept, kept.readableBytes == 0 else { return }
    endsBehindKept = false
    context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
  }

  // MARK: - What goes on

  /// Passes on as much as is wanted and allowed. Reads from the socket if nothing is kept.
  private func handOn() {
    guard !isHandingOn, let context else { return }
    isHandingOn = true
    defer { isHandingOn = false }
    var count = 0
    while isWanted, phase != .left {
      guard kept.readableBytes > 0 else { return context.read() }
      guard mayHandOn(context) else { return }
      guard count < Self.mostPerTurn else {
        // `assumeIsolated` is sound: a handler runs on the loop of its channel.
        return context.eventLoop.assumeIsolated().execute { [self] in handOn() }
      }
      count += 1
      isWanted = false
      handOnPortion(context)
      context.fireChannelReadComplete()
      endIfDue(context)
      // As after a read of the channel: a handler that wants more passes this on to `read`.
      context.channel.read()
    }
  }

  private func mayHandOn(_ context: ChannelHandlerContext) -> Bool {
    switch phase {
    case .reading: portions.isInsideRequest || context.channel.isWritable
    case .answering, .discarding, .left: false
    }
  }

  private func handOnPortion(_ context: ChannelHandlerContext) {
    let isHead = portions.isInsideHead
    let isFirst = !portions.isInsideRequest
    let count = portions.next(of: kept.readableBytesView)
    guard count < kept.readableBytes, let portion = kept.readSlice(length: count) else {
      let portion = kept
      forget()
      return handOn(isFirst ? Self.withKnownVersion(portion) : portion, isHead: isHead, context)
    }
    handOn(isFirst ? Self.withKnownVersion(portion) : portion, isHead: isHead, context)
  }

  /// Reads a later version of HTTP/1 as HTTP/1.1 (RFC 9110 section 2.5), which the parser does not do.
  ///
  /// - Parameter head: from its first byte. If its first line is not complete, the parser decides.
  private static func withKnownVersion(_ head: ByteBuffer) -> ByteBuffer {
    let bytes = head.readableBytesView
    let line = bytes.drop { $0 == UInt8(ascii: "\r") || $0 == UInt8(ascii: "\n") }
    guard let end = line.firstIndex(of: UInt8(ascii: "\r")), end - line.startIndex > 9,
      line[(end - 9)..<(end - 1)].elementsEqual(" HTTP/1.".utf8),
      (UInt8(ascii: "2")...UInt8(ascii: "9")).contains(line[end - 1])
    else { return head }
    var head = head
    head.setInteger(UInt8(ascii: "1"), at: end - 1)
    return head
  }

  private func handOn(_ portion: ByteBuffer, isHead: Bool, _ context: ChannelHandlerContext) {
    if isHead { headBeingRead = portion }
    defer { headBeingRead = ByteBuffer() }
    guard isHead, !escaper.isEmpty || portion.readableBytesView.contains(where: { $0 >= 0x80 }) else {
      return context.fireChannelRead(wrapInboundOut(portion))
    }
    let escaped = escaper.escape(portion.readableBytesView)
    context.fireChannelRead(wrapInboundOut(ByteBuffer(bytes: escaped)))
  }

  // MARK: - Heads of answers

  /// Runs a write of an answer's head through the encoder.
  func writeHead(_ write: () -> Void) {
    isWritingHead = true
    write()
    isWritingHead = false
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    guard isWritingHead, case .byteBuffer(let head) = unwrapOutboundIn(data),
      let bytes = OpaqueText.unescaped(head.readableBytesView)
    else { return context.write(data, promise: promise) }
    context.write(wrapOutboundOut(.byteBuffer(ByteBuffer(bytes: bytes))), promise: promise)
  }
}
