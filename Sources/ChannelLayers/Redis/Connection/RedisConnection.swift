import NIOCore

/// One open connection to a Redis server, signed in and with its database chosen.
struct RedisConnection: Sendable {
  private let channel: any Channel
  private let end: RedisConnectionEnd

  /// How long a command may take that does not wait on purpose.
  static let patience = TimeAmount.seconds(5)

  init(channel: any Channel, end: RedisConnectionEnd) {
    self.channel = channel
    self.end = end
  }

  /// Sends the commands together, and returns their replies in order; errors that Redis answers are among them. One of those
  /// that say that the connection is of no use ends it, too.
  ///
  /// - Parameter patience: when there is no answer after this long the connection is given up.
  func send(
    _ commands: [RESPCommand], patience: TimeAmount = Self.patience
  ) async throws(RedisFailure) -> [RESPValue] {
    guard !commands.isEmpty else { return [] }
    do {
      let replies = try await write(commands, patience).get()
      for case .error(let message) in replies where RedisRefusal(message).endsConnection { close() }
      return replies
    } catch let failure as RedisFailure {
      throw failure
    } catch {
      throw .disconnected
    }
  }

  private func write(_ commands: [RESPCommand], _ patience: TimeAmount) -> EventLoopFuture<[RESPValue]> {
    let promise = channel.eventLoop.makePromise(of: [RESPValue].self)
    let request = RedisRequest(
      bytes: Self.bytes(of: commands), replyCount: commands.count, deadline: .now() + patience,
      promise: promise)
    // A write fails only where the connection ends. Its handler then says why to whoever waits, if the request came as far
    // as that; if it did not, nobody else answers.
    channel.writeAndFlush(request).whenFailure { [channel, end] _ in
      channel.closeFuture.whenComplete { _ in promise.fail(end.failure ?? .notConnected) }
    }
    return promise.futureResult
  }

  /// Ends the connection if it does not answer.
  func checkLife() {
    _ = write([RESPCommand("PING")], Self.patience)
  }

  /// Sends one command.
  ///
  /// - Throws: `.refused` where Redis answers with an error.
  func send(
    _ command: RESPCommand, patience: TimeAmount = Self.patience
  ) async throws(RedisFailure) -> RESPValue {
    let reply = try await send([command], patience: patience)[0]
    if case .error(let message) = reply { throw .refused(RedisRefusal(message)) }
    return reply
  }

  /// Turns the connection into one of subscriptions: what arrives goes to `received`, on the event loop.
  func subscribe(_ received: @escaping @Sendable (RESPValue) -> Void) async throws {
    try await channel.eventLoop.submit {
      try channel.pipeline.syncOperations.handler(type: RedisConnectionHandler.self).subscribe(received)
    }.get()
  }

  /// Sends commands that are answered by messages only; after `subscribe`.
  func post(_ commands: [RESPCommand]) {
    let bytes = Self.bytes(of: commands)
    channel.eventLoop.execute {
      // Without its handler the channel is closed, which whoever holds the connection is told.
      guard
        let context = try? channel.pipeline.syncOperations.context(handlerType: RedisConnectionHandler.self)
      else { return }
      context.writeAndFlush(NIOAny(channel.allocator.buffer(bytes: bytes)), promise: nil)
    }
  }

  // MARK: - Holding back

  /// Leaves what Redis sends to a subscription in the system's buffer, so that TCP makes it wait; on the event loop.
  func pauseReading() {
    handler?.pause(channel)
  }

  func resumeReading() {
    handler?.resume(channel)
  }

  var isPaused: Bool { handler?.isPaused ?? false }

  /// Nil once the channel is closed.
  private var handler: RedisConnectionHandler? {
    try? channel.pipeline.syncOperations.handler(type: RedisConnectionHandler.self)
  }

  private static func bytes(of commands: [RESPCommand]) -> [UInt8] {
    var bytes: [UInt8] = []
    for command in commands { command.append(to: &bytes) }
    return bytes
  }

  /// Returns when the connection has ended.
  func waitUntilClosed() async {
    do {
      try await channel.closeFuture.get()
    } catch {
      // Ended is ended, whatever ended it.
    }
  }

  func close() {
    channel.close(promise: nil)
  }
}
