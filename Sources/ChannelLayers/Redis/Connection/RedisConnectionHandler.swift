import NIOCore
import NIOTLS
import Synchronization

/// Commands on their way to Redis, and who waits for their replies.
struct RedisRequest: Sendable {
  var bytes: [UInt8]
  var replyCount: Int
  var deadline: NIODeadline
  var promise: EventLoopPromise<[RESPValue]>
}

/// Why a connection ended on which nothing was ever received: for those who ask for something when its channel is closed already.
final class RedisConnectionEnd: Sendable {
  private let reason = Mutex<RedisFailure?>(nil)

  var failure: RedisFailure? { reason.withLock { $0 } }

  fileprivate func set(_ failure: RedisFailure) { reason.withLock { $0 = $0 ?? failure } }
}

/// Speaks RESP on one channel: replies come in the order of the commands, so a queue of who waits is all there is to keep.
final class RedisConnectionHandler: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = RedisRequest
  typealias OutboundOut = ByteBuffer

  private struct Waiting {
    var request: RedisRequest
    var replies: [RESPValue] = []
  }

  private static let checkInterval = TimeAmount.milliseconds(500)

  /// The TLS handshake, while it lasts; nil without TLS.
  private struct Handshake {
    var deadline: NIODeadline
    var done: EventLoopPromise<Void>
  }

  private let usesTLS: Bool
  private var handshake: Handshake?
  let ending = RedisConnectionEnd()
  private var hasReceived = false
  private var decoder = RESPDecoder()
  private var waiting: CircularBuffer<Waiting> = []
  /// Once set, everything that arrives is a message of a subscription.
  private var received: ((RESPValue) -> Void)?
  /// What those who wait are told when the connection ends.
  private var failure: RedisFailure
  private var isClosing = false
  /// Whether nothing is handed on of what has come, and nothing more is read.
  private(set) var isPaused = false
  private var check: RepeatedTask?

  init(usesTLS: Bool) {
    self.usesTLS = usesTLS
    failure = usesTLS ? Self.endOfTLS : Self.endWithoutTLS
  }

  /// While nothing has arrived.
  private static let endOfTLS = RedisFailure.cannotConnect(
    "the server closed the TLS connection: it may require a client certificate")
  /// The same without TLS: the first request is a PING, or logs in, so that nothing was done.
  private static let endWithoutTLS = RedisFailure.cannotConnect(
    "the server closed the connection without an answer: it may expect TLS on this port (write rediss://, or ssl: true)"
  )
  private static let tlsAlert = RedisFailure.cannotConnect(
    "the server speaks TLS on this port: write rediss://, or ssl: true")
  private static let noTLS = RedisFailure.cannotConnect(
    "no answer in time: perhaps the server does not speak TLS on this port (write redis://, or leave ssl out)"
  )

  /// Succeeds when there is something to speak through: at once, or behind the TLS handshake. On the channel's event loop.
  func whenReady(_ channel: any Channel, within time: TimeAmount) -> EventLoopFuture<Void> {
    guard usesTLS else { return channel.eventLoop.makeSucceededVoidFuture() }
    let done = channel.eventLoop.makePromise(of: Void.self)
    handshake = Handshake(deadline: .now() + time, done: done)
    return done.futureResult
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case TLSUserEvent.handshakeCompleted = event {
      handshake?.done.succeed()
      handshake = nil
    }
    context.fireUserInboundEventTriggered(event)
  }

  /// From now on there are no replies, only messages; on the channel's event loop.
  func subscribe(_ received: @escaping (RESPValue) -> Void) {
    self.received = received
  }

  func handlerAdded(context: ChannelHandlerContext) {
    let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    check = context.eventLoop.scheduleRepeatedTask(
      initialDelay: Self.checkInterval, delay: Self.checkInterval
    ) { _ in
      let (handler, context) = loopBound.value
      handler.checkDeadline(context)
    }
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    check?.cancel()
    check = nil
    failAll()
  }

  private func checkDeadline(_ context: ChannelHandlerContext) {
    if let handshake, handshake.deadline < .now() { return end(Self.noTLS, context) }
    guard let first = waiting.first, first.request.deadline < .now() else { return }
    end(.timeout, context)
  }

  /// The first reason is the one that those who wait are told.
  private func end(_ reason: RedisFailure, _ context: ChannelHandlerContext) {
    if !isClosing { failure = reason }
    isClosing = true
    context.close(promise: nil)
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    let request = unwrapOutboundIn(data)
    waiting.append(Waiting(request: request))
    context.write(wrapOutboundOut(context.channel.allocator.buffer(bytes: request.bytes)), promise: promise)
  }

  func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    isClosing = true
    context.close(mode: mode, promise: promise)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    // Over TLS, what was read already arrives after a close.
    guard !isClosing else { return }
    let buffer = unwrapInboundIn(data)
    // RFC 8446 section 5.1: the type of an alert, and the version of every record. RESP begins with a printable character.
    if !hasReceived, !usesTLS, buffer.readableBytesView.starts(with: [0x15, 0x03]) {
      return end(Self.tlsAlert, context)
    }
    if !hasReceived { failure = .disconnected }
    hasReceived = true
    decoder.append(buffer.readableBytesView)
    handOn(context)
  }

  private func handOn(_ context: ChannelHandlerContext) {
    do throws(RESPFault) {
      while !isClosing, !isPaused, let value = try decoder.next() {
        if let received {
          received(value)
          decoder.release()
        } else {
          try handle(value, context)
        }
      }
    } catch {
      end(.malformed(error.description), context)
    }
  }

  /// After an answer that belongs to no command every later one would be taken for the answer to another.
  private func handle(_ value: RESPValue, _ context: ChannelHandlerContext) throws(RESPFault) {
    switch value {
    case .push: throw RESPFault("a message arrived without a subscription")
    // As Redis says that it has too many clients.
    case .error(let message) where waiting.isEmpty: return end(.refused(RedisRefusal(message)), context)
    case _ where waiting.isEmpty: throw RESPFault("a reply arrived without a request")
    default: break
    }
    waiting[waiting.startIndex].replies.append(value)
    if waiting[waiting.startIndex].replies.count == waiting[waiting.startIndex].request.replyCount {
      let done = waiting.removeFirst()
      decoder.release()
      done.request.promise.succeed(done.replies)
    }
  }

  /// Hands on and reads no more until `resume`; on the channel's event loop, also while a message is being handed on.
  func pause(_ channel: any Channel) {
    guard !isPaused else { return }
    isPaused = true
    setReading(false, channel)
  }

  func resume(_ channel: any Channel) {
    guard isPaused, let context = try? channel.pipeline.syncOperations.context(handler: self) else { return }
    isPaused = false
    handOn(context)
    // It may have been paused again.
    if !isPaused { setReading(true, channel) }
  }

  /// A channel that cannot be told is closed.
  private func setReading(_ isOn: Bool, _ channel: any Channel) {
    try? channel.syncOptions?.setOption(.autoRead, value: isOn)
  }

  func channelInactive(context: ChannelHandlerContext) {
    failAll()
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // A reset: what the server said before it may have been lost with it.
    end(error is IOError ? failure : RedisFailure(connecting: error), context)
  }

  private func failAll() {
    if !hasReceived { ending.set(failure) }
    handshake?.done.fail(failure)
    handshake = nil
    let failed = waiting
    waiting.removeAll()
    for request in failed { request.request.promise.fail(failure) }
  }
}
