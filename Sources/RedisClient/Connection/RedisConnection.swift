package import NIOCore

/// One open connection to a Redis server. It is logged in, and its database is selected.
package struct RedisConnection: Sendable {
  let channel: any Channel
  /// Whether another program of this process has had it before.
  package internal(set) var isAdopted = false
  private let end: RedisConnectionEnd

  /// How long Redis may take to answer a command that does not wait on purpose.
  package static let patience = TimeAmount.seconds(5)

  init(channel: any Channel, end: RedisConnectionEnd) {
    self.channel = channel
    self.end = end
  }

  /// Sends the commands together, and returns their replies in order. Error replies are returned like others; if one says that the
  /// connection cannot be used any more, the connection is closed.
  ///
  /// - Parameter patience: without an answer within this time the connection is closed.
  package func send(
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
    let replies = RedisRequest.Replies(missing: commands.count, deadline: .now() + patience, promise: promise)
    // A write fails only if the connection ends. If the request has reached the handler, the handler fails its promise with the
    // reason. If not, nothing else completes the promise.
    channel.writeAndFlush(RedisRequest(commands, replies)).whenFailure { [channel, end] _ in
      channel.closeFuture.whenComplete { _ in promise.fail(end.failure ?? .notConnected) }
    }
    return promise.futureResult
  }

  /// Sends a PING. The connection is closed if Redis does not answer it.
  package func checkLife() {
    _ = write([RESPCommand("PING")], Self.patience)
  }

  /// Sends one command.
  ///
  /// - Throws: `.refused` if Redis answers with an error.
  package func send(
    _ command: RESPCommand, patience: TimeAmount = Self.patience
  ) async throws(RedisFailure) -> RESPValue {
    let reply = try await send([command], patience: patience)[0]
    if case .error(let message) = reply { throw .refused(RedisRefusal(message)) }
    return reply
  }

  /// Turns the connection into one for subscriptions: `received` is called on the event loop with each message.
  package func subscribe(_ received: @escaping @Sendable (RESPValue) -> Void) async throws {
    try await channel.eventLoop.submit {
      let handler = try channel.pipeline.syncOperations.handler(type: RedisConnectionHandler.self)
      handler.subscribe(received)
      // One that another process has had waits for this.
      handler.resume(channel)
    }.get()
  }

  /// Subscribes to channels. Redis confirms each with a message. Must be called after `subscribe`.
  package func post(subscriptionsTo channels: [String]) {
    for part in channels.parts(of: 250) { post([RESPCommand("SUBSCRIBE", part.map { RESPArgument($0) })]) }
  }

  /// Sends commands whose answers are messages. Must be called after `subscribe`.
  package func post(_ commands: [RESPCommand]) {
    // It fails only if the connection has ended, and the holder of the connection is notified of that.
    channel.writeAndFlush(RedisRequest(commands, nil), promise: nil)
  }

  // MARK: - Holding back

  /// Stops reading the messages of a subscription, so that TCP back-pressure pauses Redis. Must be called on the event loop.
  package func pauseReading() {
    handler?.pause(channel)
  }

  package func resumeReading() {
    handler?.resume(channel)
  }

  package var isPaused: Bool { handler?.isPaused ?? false }

  /// Nil once the channel is closed.
  var handler: RedisConnectionHandler? {
    try? channel.pipeline.syncOperations.handler(type: RedisConnectionHandler.self)
  }

  /// Returns when the connection has ended.
  package func waitUntilClosed() async {
    // Not `closeFuture.get()`, after which a caller went on outside of its own executor.
    await withCheckedContinuation { ended in
      channel.closeFuture.whenComplete { _ in ended.resume() }
    }
  }

  package func close() {
    channel.close(promise: nil)
  }
}
