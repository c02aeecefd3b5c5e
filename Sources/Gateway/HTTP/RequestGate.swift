import Bytes
import NIOCore
import Transport

/// Hands the bytes of a connection to the HTTP parser no further than the end of one request, and goes on when that request has
/// been answered and the client has taken its answers.
///
/// NIO's parser decodes whatever a read brought: hundreds of pipelined requests in 64 KiB, each many times its size. Here the
/// rest is kept as it came, and the socket is not read from while something is kept, so that the client has to wait.
/// Field values are opaque bytes (RFC 9110 section 5.5), and the parser reads them as UTF-8; so what is not UTF-8 in a head goes
/// through the parser as `OpaqueText`, and leaves through the encoder as the bytes that it was.
/// Stands between the socket and the parser; `MessageRules`, behind the parser, tells it what the parser found.
final class RequestGate: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer
  typealias OutboundIn = IOData
  typealias OutboundOut = IOData

  /// Fired as an inbound event: the client has closed its side, and requests that came before that are still kept here. NIO's own
  /// event, behind which the parser takes nothing more, follows the last of them.
  struct InputHasEnded: Sendable {}

  private enum Phase {
    /// A request is read, or the next one is waited for.
    case reading
    /// A request has been read and is not answered yet.
    case answering
    /// Nothing of what comes is handed on any more.
    case discarding
  }

  private var phase = Phase.reading
  private var portions = RequestPortions()
  /// What was read and not handed on.
  private var kept = ByteBuffer()
  private let share: MemoryShare
  /// Whether more was asked for from behind; the worker's first bytes come without having been asked for.
  private var isWanted = true
  private var isHandingOn = false
  /// Whether the end of the client's side waits behind what is kept.
  private var endsBehindKept = false
  private var context: ChannelHandlerContext?
  private var escaper = OpaqueText.Escaper()
  /// Whether what is written at the moment is the head of an answer.
  private var isWritingHead = false

  /// Portions before others on the event loop have their turn.
  private static let mostPerTurn = 16

  /// - Parameter share: what the kept bytes are counted in.
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

  /// No further request is taken on this connection.
  func discard() {
    phase = .discarding
    forget()
    // Whoever hands on at the moment goes on by itself.
    guard !isHandingOn, let context else { return }
    handOn()
    endIfDue(context)
  }
}

// MARK: - What comes

extension RequestGate {
  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard phase != .discarding else { return }
    var bytes = unwrapInboundIn(data)
    if kept.readableBytes == 0 { kept = bytes } else { kept.writeBuffer(&bytes) }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    guard phase != .discarding else { return context.fireChannelReadComplete() }
    handOn()
    keep(context)
  }

  /// Counts what is kept, and lets go of a buffer that is mostly empty.
  private func keep(_ context: ChannelHandlerContext) {
    if kept.readableBytes < kept.storageCapacity / 2 {
      kept = kept.readableBytes == 0 ? ByteBuffer() : ByteBuffer(bytes: kept.readableBytesView)
    }
    guard !share.resize(to: kept.storageCapacity) else { return }
    // Somebody has to go, and this client sends ahead of its answers.
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

  /// Hands on as much as is wanted and may be handed on; reads from the socket where nothing is kept.
  private func handOn() {
    guard !isHandingOn, let context else { return }
    isHandingOn = true
    defer { isHandingOn = false }
    var count = 0
    while isWanted {
      guard kept.readableBytes > 0 else { return context.read() }
      guard mayHandOn(context) else { return }
      guard count < Self.mostPerTurn else {
        return context.eventLoop.assumeIsolated().execute { [self] in handOn() }
      }
      count += 1
      isWanted = false
      handOnPortion(context)
      context.fireChannelReadComplete()
      endIfDue(context)
      // As the channel does when it has read: whoever wants more lets this pass down to `read`.
      context.channel.read()
    }
  }

  private func mayHandOn(_ context: ChannelHandlerContext) -> Bool {
    switch phase {
    case .reading: portions.isInsideRequest || context.channel.isWritable
    case .answering, .discarding: false
    }
  }

  private func handOnPortion(_ context: ChannelHandlerContext) {
    let isHead = portions.isInsideHead
    let isFirst = !portions.isInsideRequest
    let count = portions.next(of: kept.readableBytesView)
    guard count < kept.readableBytes, let portion = kept.readSlice(length: count) else {
      let portion = kept
      kept = ByteBuffer()
      share.resize(to: 0)
      return handOn(isFirst ? Self.withKnownVersion(portion) : portion, isHead: isHead, context)
    }
    handOn(isFirst ? Self.withKnownVersion(portion) : portion, isHead: isHead, context)
  }

  /// A later version of HTTP/1 is taken for HTTP/1.1 (RFC 9110 section 2.5), which the parser does not do.
  ///
  /// - Parameter head: from its first byte; where its first line is not whole, the parser has the last word.
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
    guard isHead, !escaper.isEmpty || portion.readableBytesView.contains(where: { $0 >= 0x80 }) else {
      return context.fireChannelRead(wrapInboundOut(portion))
    }
    let escaped = escaper.escape(portion.readableBytesView)
    context.fireChannelRead(wrapInboundOut(ByteBuffer(bytes: escaped)))
  }

  // MARK: - Heads of answers

  /// Runs what writes the head of an answer through the encoder.
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
