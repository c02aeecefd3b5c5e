import GatewayConfig
import Logging
import NIOCore
import Synchronization
import Transport

/// The layout of `channels_redis.pubsub`: a group is a channel of Redis's own publish and subscribe.
///
/// The events of this process also come back through the subscription, so that all processes see them in one order.
extension RedisHub {
  nonisolated private var groupPrefix: String { "\(configuration.prefix)__group__" }
  private var sessionPrefix: String { identity.addressPrefix }

  nonisolated func subscriptionName(of group: String) -> String { groupPrefix + group }

  // MARK: - Subscriptions

  /// Subscribes to channels. Redis confirms with a message, after which waiting reactors are notified.
  func subscribe(_ names: [String], _ shard: Int) {
    let link = shards[shard].receiver
    guard let receiver = link.connection, link.isUp else {
      for name in names { refused(name) }
      return
    }
    receiver.post([RESPCommand("SUBSCRIBE", names.map { RESPArgument(subscriptionName(of: $0)) })])
  }

  /// Receives the messages of the subscriptions until the connection ends.
  func receiveSubscriptions(_ shard: Int, on connection: RedisConnection) async throws {
    try await connection.subscribe { [self] message in
      assumeIsolated {
        $0.handle(message, shard)
        $0.holdBack(shard, connection)
      }
    }
    let wanted = interest.wanted(shard)
    for start in stride(from: 0, to: wanted.count, by: 250) {
      let names = wanted[start..<min(start + 250, wanted.count)].map {
        RESPArgument(subscriptionName(of: $0.name))
      }
      connection.post([RESPCommand("SUBSCRIBE", names)])
    }
    // The pattern comes last: when it is confirmed, so is everything before it.
    connection.post([RESPCommand("PSUBSCRIBE", .init(Self.globEscaped(sessionPrefix) + "*"))])
    await connection.waitUntilClosed()
    if let refusal = shards[shard].receiver.refusal { throw refusal }
    missed(shard)
  }

  private func handle(_ message: RESPValue, _ shard: Int) {
    shards[shard].receiver.heard()
    // A connection without its subscriptions is of no use, and the error does not say which one failed.
    if case .error(let fault) = message {
      shards[shard].receiver.refuse(.refused(RedisRefusal(fault)))
    }
    guard case .array(let parts) = message, let kind = parts.first?.text else { return }
    switch (kind, parts.count) {
    case ("message", 3):
      guard let channel = parts[1].text, channel.hasPrefix(groupPrefix),
        let group = interest[String(channel.dropFirst(groupPrefix.count))]
      else { return countUnknownReceiver() }
      receive(parts[2]) { deliver($0, to: group) }
    case ("pmessage", 4):
      guard let channel = parts[2].text else { return }
      receive(parts[3]) { deliver($0, toAddress: channel.dropFirst(sessionPrefix.count)) }
    case ("subscribe", 3):
      guard let channel = parts[1].text, channel.hasPrefix(groupPrefix) else { return }
      joined(String(channel.dropFirst(groupPrefix.count)))
    case ("psubscribe", 3):
      receiving(shard)
    default: break
    }
  }

  /// If too much waits for a reactor, the connection is not read until there is room. Redis has its own limit for what it keeps
  /// meanwhile (`client-output-buffer-limit`). Beyond that Redis ends the connection, which is logged.
  private func holdBack(_ shard: Int, _ connection: RedisConnection) {
    guard !isStopping, let full = overfull else { return }
    noteHoldingBack(for: full)
    connection.pauseReading()
    let loop = shards[shard].connector.eventLoop
    full.whenRoom {
      loop.execute {
        // The server was not silent; the connection was not read.
        self.assumeIsolated { $0.shards[shard].receiver.heard() }
        connection.resumeReading()
      }
    }
  }

  private func receive(_ body: RESPValue, _ deliver: (Event) -> Void) {
    switch body {
    case .bulkString(let bytes):
      do throws(CodecFault) {
        deliver(try codec.decode(bytes, maximumAge: nil, now: UInt64(MessageClock.now())).event)
      } catch {
        unreadable("\(error)")
      }
    case .oversized(let length): unreadable("it is too long: \(length) bytes")
    default: unreadable("it is not a string")
    }
  }

  /// Events that were published while no connection listened are lost.
  private func missed(_ shard: Int) {
    guard !isStopping, shards[shard].receiver.isUp else { return }
    log.warning(
      "subscriptions were interrupted: events may have been missed",
      metadata: ["layer": "\(alias)", "host": "\(shards[shard].connector.host)"])
  }

  /// Escapes names that Redis would read as a pattern.
  private static func globEscaped(_ text: String) -> String {
    text.reduce(into: "") { escaped, character in
      if #"*?[]\^"#.contains(character) { escaped.append("\\") }
      escaped.append(character)
    }
  }

  /// Called every second.
  func tendSubscriptions(beat: Int) {
    for shard in shards.indices {
      // Without a connection there is nothing to leave.
      let leaving = interest.takeLeaving(shard, at: .now)
      interest.left(leaving)
      guard let receiver = shards[shard].receiver.connection else { continue }
      for group in leaving {
        receiver.post([RESPCommand("UNSUBSCRIBE", .init(subscriptionName(of: group.name)))])
      }
      shards[shard].receiver.closeIfSilent()
      guard beat % 5 == 0 else { continue }
      receiver.post([RESPCommand("PING")])
      shards[shard].commands.connection?.checkLife()
    }
  }

  // MARK: - Events out

  private struct Publication {
    var command: RESPCommand
    var receipt: Receipt
  }

  /// One round trip for each shard and batch.
  func publishToSubscribers(_ batch: [OutgoingEvent]) async {
    var byShard: [Int: [Publication]] = [:]
    for event in batch {
      let receipt = Receipt(event.sender)
      do throws(CodecFault) {
        let body = codec.body(try codec.encode(event.event), targets: .none, now: UInt64(MessageClock.now()))
        let command = RESPCommand("PUBLISH", .init(subscriptionName(of: event.group)), .init(body))
        byShard[shard(of: event.group), default: []].append(Publication(command: command, receipt: receipt))
      } catch {
        tell(receipt, .notSerializable)
      }
    }
    for (shard, publications) in byShard { await publish(publications, shard) }
  }

  private func publish(_ publications: [Publication], _ shard: Int) async {
    do {
      guard let connection = shards[shard].commands.connection else { throw RedisFailure.notConnected }
      let replies = try await connection.send(publications.map(\.command))
      let now = ContinuousClock.now
      for (publication, reply) in zip(publications, replies) {
        switch reply {
        // No process listened, not even this one, which has the sender in the group.
        case .integer(0) where !publication.receipt.isAwaited: tell(publication.receipt, .unavailable)
        case .integer:
          confirm(publication.receipt)
          counters.sent.add(1, ordering: .relaxed)
          shards[shard].recent.add(publication.receipt, at: now)
        default:
          note("Redis did not accept a message", reply.text ?? "an unexpected reply")
          tell(publication.receipt, .unavailable)
        }
      }
    } catch {
      note("messages could not be sent", "\(error)")
      let isUncertain = (error as? RedisFailure)?.isUncertain ?? true
      for publication in publications { tell(publication.receipt, isUncertain ? .unconfirmed : .unavailable) }
    }
  }
}
