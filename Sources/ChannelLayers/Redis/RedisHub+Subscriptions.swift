import GatewayConfig
import Logging
import Synchronization

/// The layout of `channels_redis.pubsub`: a group is a channel of Redis's own publish and subscribe.
///
/// Our own events come back through the subscription like everybody's, so all processes see them in one order.
extension RedisHub {
  private var groupPrefix: String { "\(configuration.prefix)__group__" }
  private var sessionPrefix: String { identity.addressPrefix }

  func subscriptionName(of group: String) -> String { groupPrefix + group }

  // MARK: - Subscriptions

  /// Confirmed by a message, which tells those that wait.
  func subscribe(_ names: [String], _ shard: Int) {
    guard let receiver = shards[shard].receiver, shards[shard].isReceiving else {
      for name in names { joined(name, .unavailable) }
      return
    }
    receiver.post([RESPCommand("SUBSCRIBE", names.map { RESPArgument(subscriptionName(of: $0)) })])
  }

  /// Takes what the subscriptions bring until the connection ends.
  func receiveSubscriptions(
    _ shard: Int, on connection: RedisConnection, established: () -> Void
  ) async throws {
    try await connection.subscribe { [self] message in
      assumeIsolated { $0.take(message, shard) }
    }
    let mine = groups.values.filter { $0.shard == shard && !$0.reactors.isEmpty }
    for start in stride(from: 0, to: mine.count, by: 250) {
      let names = mine[start..<min(start + 250, mine.count)].map {
        RESPArgument(subscriptionName(of: $0.name))
      }
      connection.post([RESPCommand("SUBSCRIBE", names)])
    }
    // The pattern comes last: when it is confirmed, so is everything before it.
    connection.post([RESPCommand("PSUBSCRIBE", .init(Self.globEscaped(sessionPrefix) + "*"))])
    shards[shard].lastHeard = .now
    established()
    await connection.waitUntilClosed()
    missed(shard)
  }

  private func take(_ message: RESPValue, _ shard: Int) {
    shards[shard].lastHeard = .now
    guard case .array(let parts) = message, let kind = parts.first?.text else {
      if case .error(let fault) = message { note("Redis refused a subscription", fault) }
      return
    }
    switch (kind, parts.count) {
    case ("message", 3):
      guard let channel = parts[1].text, case .bulkString(let body) = parts[2] else { return }
      guard channel.hasPrefix(groupPrefix), let group = groups[String(channel.dropFirst(groupPrefix.count))]
      else { return stranger() }
      receive(body) { deliver($0, to: group) }
    case ("pmessage", 4):
      guard let channel = parts[2].text, case .bulkString(let body) = parts[3] else { return }
      receive(body) { deliver($0, toAddress: channel.dropFirst(sessionPrefix.count)) }
    case ("subscribe", 3):
      guard let channel = parts[1].text, channel.hasPrefix(groupPrefix) else { return }
      joined(String(channel.dropFirst(groupPrefix.count)), .active)
    case ("psubscribe", 3):
      receiving(shard)
    default: break
    }
  }

  private func receive(_ body: [UInt8], _ deliver: (Event) -> Void) {
    do throws(CodecFault) {
      deliver(try codec.decode(body, maximumAge: nil, now: UInt64(MessageClock.now())).event)
    } catch {
      counters.unreadable.add(1, ordering: .relaxed)
      note("a message from Redis could not be read", "\(error)")
    }
  }

  private func stranger() {
    counters.strangers.add(1, ordering: .relaxed)
  }

  /// What was published while nobody listened is gone.
  private func missed(_ shard: Int) {
    guard !stops else { return }
    log.warning(
      "subscriptions were interrupted: events may have been missed",
      metadata: ["layer": "\(alias)", "host": "\(shards[shard].connector.host)"])
  }

  /// Names that Redis would take for a pattern.
  private static func globEscaped(_ text: String) -> String {
    text.reduce(into: "") { escaped, character in
      if #"*?[]\^"#.contains(character) { escaped.append("\\") }
      escaped.append(character)
    }
  }

  private static let silence = Duration.seconds(15)

  /// Called every second.
  func tendSubscriptions(beat: Int) {
    for group in takeIdleGroups() {
      shards[group.shard].receiver?.post([RESPCommand("UNSUBSCRIBE", .init(subscriptionName(of: group.name)))]
      )
    }
    for shard in shards.indices {
      guard let receiver = shards[shard].receiver else { continue }
      if beat % 5 == 0 { receiver.post([RESPCommand("PING")]) }
      if ContinuousClock.now - shards[shard].lastHeard > Self.silence { receiver.close() }
    }
  }

  // MARK: - Events out

  /// One round trip for each shard and batch.
  func publishToSubscribers(_ batch: [OutgoingEvent]) async {
    var byShard: [Int: [(command: RESPCommand, sender: Sender)]] = [:]
    for event in batch {
      let name = subscriptionName(of: event.group)
      do throws(CodecFault) {
        let body = codec.body(try codec.encode(event.event), targets: .none, now: UInt64(MessageClock.now()))
        byShard[Shard.index(of: name, count: shards.count), default: []].append(
          (RESPCommand("PUBLISH", .init(name), .init(body)), event.sender))
      } catch {
        tell(event.sender, .notSerializable)
      }
    }
    for (shard, messages) in byShard {
      await publish(messages, shard)
    }
  }

  private func publish(_ messages: [(command: RESPCommand, sender: Sender)], _ shard: Int) async {
    guard let connection = shards[shard].commands else {
      for message in messages { tell(message.sender, .unavailable) }
      return
    }
    do {
      let replies = try await connection.send(messages.map(\.command))
      let now = ContinuousClock.now
      for (message, reply) in zip(messages, replies) {
        switch reply {
        // Not even we ourselves were listening.
        case .integer(0): tell(message.sender, .unavailable)
        case .integer:
          counters.sent.add(1, ordering: .relaxed)
          shards[shard].recent.add(message.sender, at: now)
        default:
          note("Redis did not take a message", reply.text ?? "an unexpected reply")
          tell(message.sender, .unavailable)
        }
      }
    } catch {
      note("messages could not be sent", "\(error)")
      for message in messages { tell(message.sender, .unconfirmed) }
    }
  }
}
