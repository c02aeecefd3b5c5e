import NIOCore
import NIOTLS
import Synchronization

/// Commands for Redis.
struct RedisRequest: Sendable {
  /// The replies that have come, and the promise for all of them.
  struct Replies {
    var missing: Int
    var deadline: NIODeadline
    var promise: EventLoopPromise<[RESPValue]>
    var values: [RESPValue] = []
  }

  private(set) var bytes: [UInt8] = []
  /// Nil if the answers are messages.
  let replies: Replies?

  init(_ commands: [RESPCommand], _ replies: Replies?) {
    self.replies = replies
    for command in commands { command.append(to: &bytes) }
  }
}

/// The reason why a connection ended before anything was received. Requests that come after the end fail with it.
final class RedisConnectionEnd: Sendable {
  private let reason = Mutex<RedisFailure?>(nil)

  var failure: RedisFailure? { reason.withLock { $0 } }

  fileprivate func set(_ failure: RedisFailure) { reason.withLock { $0 = $0 ?? failure } }
}

/// Speaks RESP on one channel. Redis replies in the order of the commands, so the waiting requests are a queue.
final class RedisConnectionHandler: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = RedisRequest
  typealias OutboundOut = ByteBuffer

  private static let checkInterval = TimeAmount.milliseconds(500)

  /// A TLS handshake that is not completed yet.
  private struct Handshake {
    var deadline: NIODeadline
    var done: EventLoopPromise<Void>
  }

  private let usesTLS: Bool
  private var handshake: Handshake?
  let ending = RedisConnectionEnd()
  private var hasReceived = false
  private var decoder = RESPDecoder()
  private var waiting: CircularBuffer<RedisRequest.Replies> = []
  /// Handles the messages of subscriptions. When it is set, nothing else arrives.
  private var received: ((RESPValue) -> Void)?
  /// The failure of waiting requests when the connection ends.
  private var failure: RedisFailure
  private var isClosing = false
  /// Whether reading is paused, and received messages wait.
  private(set) var isPaused = false
  private var check: RepeatedTask?

  init(usesTLS: Bool) {
    self.usesTLS = usesTLS
    failure = usesTLS ? Self.endOfTLS : Self.endWithoutTLS
  }

  /// Goes on with a connection of another process. Nothing is handled before `subscribe`.
  ///
  /// - Parameter unread: what that one has received and not handled.
  init(unread: [UInt8]) {
    usesTLS = false
    failure = .disconnected
    (hasReceived, isPaused) = (true, true)
    decoder.append(unread)
  }

  /// What was received and is not handled yet. Nil where another process cannot go on: with TLS, while an answer is awaited, and while
  /// something too long is skipped.
  var unread: [UInt8]? {
    usesTLS || isClosing || !waiting.isEmpty ? nil : decoder.unread
  }

  /// The failure if a connection with TLS ends before anything was received.
  private static let endOfTLS = RedisFailure.cannotConnect(
    "the server closed the TLS connection: it may require a client certificate")
  /// The same without TLS. The first request logs in, or is a PING, so Redis has not done anything yet.
  private static let endWithoutTLS = RedisFailure.cannotConnect(
    "the server closed the connection without an answer: it may expect TLS on this port (write rediss://, or ssl: true)"
  )
  private static let tlsAlert = RedisFailure.cannotConnect(
    "the server speaks TLS on this port: write rediss://, or ssl: true")
  private static let noTLS = RedisFailure.cannotConnect(
    "no answer in time: perhaps the server does not speak TLS on this port (write redis://, or leave ssl out)"
  )

  /// Returns a future that succeeds when requests can be sent: at once, or after the TLS handshake. Must be called on the channel's
  /// event loop.
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

  /// From now on everything that arrives is a message. Must be called on the channel's event loop.
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
    if let first = waiting.first, first.deadline < .now() { end(.timeout, context) }
  }

  /// Closes the channel. Waiting requests fail with the first reason.
  private func end(_ reason: RedisFailure, _ context: ChannelHandlerContext) {
    if !isClosing { failure = reason }
    isClosing = true
    context.close(promise: nil)
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    let request = unwrapOutboundIn(data)
    if let replies = request.replies { waiting.append(replies) }
    context.write(wrapOutboundOut(context.channel.allocator.buffer(bytes: request.bytes)), promise: promise)
  }

  func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    isClosing = true
    context.close(mode: mode, promise: promise)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    // With TLS, bytes that were already read arrive after a close.
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

  /// Adds a reply to the first waiting request. A reply without a request ends the connection: every later reply would be assigned to
  /// the wrong request.
  private func handle(_ value: RESPValue, _ context: ChannelHandlerContext) throws(RESPFault) {
    guard !waiting.isEmpty else {
      // Redis sends such an error if it has too many clients.
      if case .error(let message) = value { return end(.refused(RedisRefusal(message)), context) }
      throw RESPFault("a reply arrived without a request")
    }
    waiting[waiting.startIndex].values.append(value)
    waiting[waiting.startIndex].missing -= 1
    guard waiting[waiting.startIndex].missing == 0 else { return }
    let done = waiting.removeFirst()
    decoder.release()
    done.promise.succeed(done.values)
  }

  /// Stops reading, and stops passing messages on, until `resume`. Must be called on the channel's event loop; it may be called while
  /// a message is passed on.
  func pause(_ channel: any Channel) {
    guard !isPaused else { return }
    isPaused = true
    setReading(false, channel)
  }

  func resume(_ channel: any Channel) {
    guard isPaused, let context = try? channel.pipeline.syncOperations.context(handler: self) else { return }
    isPaused = false
    handOn(context)
    // A message may have paused it again.
    if !isPaused { setReading(true, channel) }
  }

  /// Setting the option fails only if the channel is closed.
  private func setReading(_ isOn: Bool, _ channel: any Channel) {
    try? channel.syncOptions?.setOption(.autoRead, value: isOn)
  }

  func channelInactive(context: ChannelHandlerContext) {
    failAll()
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // After a reset, the last bytes of the server may be lost, so `failure` is the better reason.
    end(error is IOError ? failure : RedisFailure(connecting: error), context)
  }

  private func failAll() {
    if !hasReceived { ending.set(failure) }
    handshake?.done.fail(failure)
    handshake = nil
    let failed = waiting
    waiting.removeAll()
    for replies in failed { replies.promise.fail(failure) }
  }
}
