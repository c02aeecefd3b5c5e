import GatewayConfig
import Synchronization

/// Events in the layout of `channels_redis.core`: every process has queues, which are sorted sets.
extension RedisHub {
  /// The shard of the queue for the group's events.
  nonisolated func shard(ofQueue group: String) -> Int {
    Shard.index(of: identity.client(for: group), count: configuration.hosts.count)
  }

  // MARK: - Events in

  /// Takes messages out of this process's queues until the connection ends.
  ///
  /// All queues are read on every shard, because with several hosts `send` of channels_redis puts a message for a single
  /// channel on another shard than the one where its reader would look.
  func receiveQueues(_ shard: Int, on connection: RedisConnection) async throws(RedisFailure) {
    var keys = identity.clients.map { configuration.prefix + $0 }
    var pop = QueuePop.many
    while !isStopping {
      let messages: [QueuePop.Message]
      do {
        // Events arrive only once Redis has allowed the command.
        let wait = shards[shard].receiver.isUp ? QueuePop.Wait.long : .hardly
        messages = try await pop.next(of: keys, wait, on: connection)
      } catch .refused(let refusal) where refusal.isUnknownCommand && pop == .many {
        pop = .one
        continue
      }
      receiving(shard)
      for message in messages { receive(message) }
      await waitForRoom()
      keys.append(keys.removeFirst())
    }
  }

  private func receive(_ message: QueuePop.Message) {
    switch message {
    case .bytes(let bytes): receive(bytes)
    case .oversized(let length): unreadable("it is too long: \(length) bytes")
    }
  }

  private func receive(_ bytes: [UInt8]) {
    guard bytes.count >= configuration.randomPrefixLength else { return unreadable("it is too short") }
    let incoming: IncomingMessage
    do throws(CodecFault) {
      incoming = try codec.decode(
        Array(bytes[configuration.randomPrefixLength...]),
        maximumAge: UInt64(configuration.expiry.wholeSeconds + 10), now: UInt64(MessageClock.now()))
    } catch {
      return unreadable("\(error)")
    }
    switch incoming.targets {
    case .none: unreadable("it names no channel")
    case .one(let channel): receive(incoming.event, for: channel)
    case .many(let channels): for channel in channels { receive(incoming.event, for: channel) }
    }
  }

  private func receive(_ event: Event, for channel: String) {
    guard let local = identity.local(channel) else { return countUnknownReceiver() }
    if let group = interest.group(ofMember: String(local)) {
      deliver(event, to: group)
    } else {
      deliver(event, toAddress: local)
    }
  }

  // MARK: - Events out

  /// Two round trips for a whole batch: one for the members of the groups, one for the messages.
  func publishToQueues(_ batch: [OutgoingEvent]) async {
    let recipients = await recipients(of: Set(batch.map(\.group)))
    for event in batch {
      let receipt = Receipt(event.sender)
      guard let recipients = recipients[event.group] else {
        tell(receipt, .unavailable)
        continue
      }
      do throws(CodecFault) {
        try enqueue(event, for: recipients, receipt)
      } catch {
        tell(receipt, .notSerializable)
      }
    }
    await flushQueues()
  }

  private func recipients(of names: Set<String>) async -> [String: GroupRecipients] {
    var found: [String: GroupRecipients] = [:]
    for (shard, names) in Dictionary(grouping: names, by: shard(of:)) {
      guard let connection = shards[shard].commands.connection else { continue }
      let oldest = Int(MessageClock.now()) - register.groupExpiry
      let commands = names.flatMap { name in
        let key = register.key(ofGroup: name)
        return [
          RESPCommand("ZREMRANGEBYSCORE", .init(key), "0", .init(oldest)),
          RESPCommand("ZRANGE", .init(key), "0", "-1"),
        ]
      }
      do {
        let replies = try await connection.send(commands)
        for (index, name) in names.enumerated() {
          guard case .array(let channels) = replies[2 * index + 1] else {
            note(
              "a group could not be read", "\(name): \(replies[2 * index + 1].text ?? "an unexpected reply")")
            continue
          }
          found[name] = GroupRecipients(channels.compactMap(\.text), except: identity, configuration)
        }
      } catch {
        note("groups could not be read", "\(error)")
      }
    }
    return found
  }

  /// Delivers the event to sessions of this process now, and queues it for other processes.
  private func enqueue(
    _ event: OutgoingEvent, for recipients: GroupRecipients, _ receipt: Receipt
  ) throws(CodecFault) {
    let deadline = ContinuousClock.now + OutgoingQueues.patience
    if !recipients.queues.isEmpty {
      let encoded = try codec.encode(event.event)
      let score = clock.next()
      for queue in recipients.queues {
        let body = codec.body(encoded, targets: .many(queue.channels), now: UInt64(score))
        let message = OutgoingQueues.Message(
          bytes: clock.uniquePrefix(configuration.randomPrefixLength) + body, score: score,
          group: event.group, receipt: receipt, deadline: deadline)
        receipt.expect()
        if !outgoing.add(message, to: queue.key, shard: queue.shard, capacity: queue.capacity) {
          overCapacity(message)
        }
      }
    }
    counters.sent.add(1, ordering: .relaxed)
    if let group = interest[event.group] { deliver(event.event, to: group) }
    for session in recipients.sessions { deliver(event.event, toAddress: session) }
    if recipients.queues.isEmpty { confirm(receipt) }
  }

  private static let mostQueues = 64

  /// Puts waiting messages into their queues, as far as there is room.
  private func flushQueues() async {
    for shard in shards.indices {
      while case let keys = outgoing.ready(shard, at: .now).prefix(Self.mostQueues), !keys.isEmpty {
        guard let connection = shards[shard].commands.connection else {
          for key in keys { fail(outgoing.drop(of: key), .partly) }
          continue
        }
        await flush(outgoing.offers(Array(keys)), shard, on: connection)
      }
    }
    if let next = outgoing.nextTry { wakeCarrier(at: next) }
  }

  private func flush(_ offers: [OutgoingQueues.Offer], _ shard: Int, on connection: RedisConnection) async {
    let expiry = configuration.expiry.wholeSeconds
    var arguments: [RESPArgument] = [.init(Int(MessageClock.now()) - expiry), .init(expiry)]
    for offer in offers {
      arguments += [.init(offer.capacity), .init(offer.messages.count)]
      arguments += offer.messages.flatMap { [RESPArgument($0.score), RESPArgument($0.bytes)] }
    }
    do {
      let outcomes = try await QueueScript.run(
        keys: offers.map(\.key), arguments: arguments, on: connection)
      let now = ContinuousClock.now
      for (offer, outcome) in zip(offers, outcomes) { took(outcome, of: offer, shard, at: now) }
    } catch {
      note("messages could not be sent", "\(error)")
      for offer in offers {
        fail(outgoing.drop(offer.messages.count, of: offer.key), error.isUncertain ? .unconfirmed : .partly)
        fail(outgoing.drop(of: offer.key), .partly)
      }
    }
  }

  private func took(
    _ outcome: QueueScript.Outcome, of offer: OutgoingQueues.Offer, _ shard: Int,
    at now: ContinuousClock.Instant
  ) {
    switch outcome {
    case .taken(let number):
      let count = min(number, offer.messages.count)
      for message in offer.messages.prefix(count) {
        shards[shard].recent.add(message.receipt, at: now)
        if message.receipt.taken() { confirm(message.receipt) }
      }
      for late in outgoing.took(count, of: offer, at: now) { overCapacity(late) }
    case .noQueue:
      note("the key of a queue holds a value of another type", offer.key)
      fail(outgoing.drop(of: offer.key), .partly)
    }
  }

  private func fail(_ messages: [OutgoingQueues.Message], _ reason: Undelivered) {
    for message in messages { tell(message.receipt, reason) }
  }

  private func overCapacity(_ message: OutgoingQueues.Message) {
    counters.overCapacity.add(1, ordering: .relaxed)
    note("a queue is full, and a message for it was dropped", message.group)
    tell(message.receipt, .full)
  }
}
