import ChannelLayers
import GatewayConfig
import RedisClient

/// Events in the layout of `channels_redis.core`: every process has queues, which are sorted sets.
extension CoreLayout {
  // MARK: - Events in

  /// Takes messages out of this process's queues until the connection ends.
  ///
  /// All queues are read on every shard, because with several hosts `send` of channels_redis puts a message for a single
  /// channel on another shard than the one where its reader would look.
  func receive(_ shard: Int, on connection: RedisConnection, for hub: isolated RedisHub)
    async throws(RedisFailure)
  {
    var keys = identity.clients.map { hub.configuration.prefix + $0 }
    var pop = QueuePop.many
    while !hub.isStopping {
      let messages: [RESPValue]
      do {
        // Events arrive only once Redis has allowed the command.
        let isTrial = !hub.shards[shard].receiver.isUp
        await hub.waitWhilePaused()
        hub.fetches += 1
        defer { hub.fetches -= 1 }
        messages = try await pop.next(of: keys, isTrial: isTrial, on: connection)
      } catch .refused(let refusal) where refusal.isUnknownCommand && pop == .many {
        pop = .one
        continue
      }
      hub.receiving(shard)
      for message in messages { receive(message, for: hub) }
      await hub.waitForRoom()
      keys.append(keys.removeFirst())
    }
  }

  private func receive(_ message: RESPValue, for hub: isolated RedisHub) {
    let oldest = UInt64(hub.configuration.expiry.wholeSeconds + 10)
    guard
      let incoming = hub.decode(message, behind: hub.configuration.randomPrefixLength, maximumAge: oldest)
    else { return }
    guard let channels = incoming.targets else { return hub.unreadable("it names no channel") }
    for channel in channels { receive(incoming.event, at: channel, for: hub) }
  }

  private func receive(_ event: Event, at channel: String, for hub: isolated RedisHub) {
    guard let local = identity.local(channel) else { return }
    if let group = hub.interest.group(ofMember: String(local)) {
      hub.deliver(event, to: group)
    } else {
      hub.deliver(event, toAddress: local)
    }
  }

  /// Sends this process a message for nobody, so that Redis answers who waits for one. Where that fails, it does in a few seconds.
  func wake(_ shard: Int, of hub: isolated RedisHub) async {
    guard let connection = hub.shards[shard].commands.connection,
      let encoded = try? hub.codec.encode(Event(type: "sluice.wake"))
    else { return }
    let (score, queue) = (clock.next(), identity.clients[0])
    let body = hub.codec.body(encoded, targets: [queue + Self.nobody], now: UInt64(score))
    let bytes = clock.uniquePrefix(hub.configuration.randomPrefixLength) + body
    let key = hub.configuration.prefix + queue
    _ = try? await connection.send([
      RESPCommand("ZADD", .init(key), .init(score), .init(bytes)),
      RESPCommand("EXPIRE", .init(key), .init(hub.configuration.expiry.wholeSeconds)),
    ])
  }

  /// No group and no session of a process has this name.
  private static let nobody = "wake"

  // MARK: - Events out

  /// Two round trips for a whole batch: one for the members of the groups, one for the messages.
  func publish(_ batch: [OutgoingEvent], from hub: isolated RedisHub) async {
    let recipients = await recipients(of: Set(batch.map(\.group)), hub)
    for event in batch {
      let receipt = Receipt(event.sender)
      guard let recipients = recipients[event.group] else {
        hub.tell(receipt, .unavailable)
        continue
      }
      do throws(CodecFault) {
        try enqueue(event, for: recipients, receipt, hub)
      } catch {
        hub.tell(receipt, .notSerializable)
      }
    }
    await flushQueues(hub)
  }

  private func recipients(
    of names: Set<String>, _ hub: isolated RedisHub
  ) async -> [String: GroupRecipients] {
    var found: [String: GroupRecipients] = [:]
    for (shard, names) in Dictionary(grouping: names, by: hub.shard(of:)) {
      guard let connection = hub.shards[shard].commands.connection else { continue }
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
            hub.note(
              "a group could not be read", "\(name): \(replies[2 * index + 1].text ?? "an unexpected reply")")
            continue
          }
          found[name] = GroupRecipients(channels.compactMap(\.text), except: identity, hub.configuration)
        }
      } catch {
        hub.note("groups could not be read", "\(error)")
      }
    }
    return found
  }

  /// Delivers the event to sessions of this process now, and queues it for other processes.
  private func enqueue(
    _ event: OutgoingEvent, for recipients: GroupRecipients, _ receipt: Receipt, _ hub: isolated RedisHub
  ) throws(CodecFault) {
    let deadline = ContinuousClock.now + OutgoingQueues.patience
    if !recipients.queues.isEmpty {
      let encoded = try hub.codec.encode(event.event)
      let score = clock.next()
      for queue in recipients.queues {
        let body = hub.codec.body(encoded, targets: queue.channels, now: UInt64(score))
        let message = OutgoingQueues.Message(
          bytes: clock.uniquePrefix(hub.configuration.randomPrefixLength) + body, score: score,
          group: event.group, receipt: receipt, deadline: deadline)
        receipt.expect()
        if !outgoing.add(message, to: queue.key, shard: queue.shard, capacity: queue.capacity) {
          overCapacity(message, hub)
        }
      }
    }
    if let group = hub.interest[event.group] { hub.deliver(event.event, to: group) }
    for session in recipients.sessions { hub.deliver(event.event, toAddress: session) }
    if recipients.queues.isEmpty { hub.confirm(receipt) }
  }

  private static let mostQueues = 64

  /// Puts waiting messages into their queues, as far as there is room.
  private func flushQueues(_ hub: isolated RedisHub) async {
    for shard in hub.shards.indices {
      while case let keys = outgoing.ready(shard, at: .now).prefix(Self.mostQueues), !keys.isEmpty {
        guard let connection = hub.shards[shard].commands.connection else {
          for key in keys { fail(outgoing.drop(of: key), .partly, hub) }
          continue
        }
        await flush(outgoing.offers(Array(keys)), shard, on: connection, hub)
      }
    }
    if let next = outgoing.nextTry { hub.wakeCarrier(at: next) }
  }

  private func flush(
    _ offers: [OutgoingQueues.Offer], _ shard: Int, on connection: RedisConnection, _ hub: isolated RedisHub
  ) async {
    let expiry = hub.configuration.expiry.wholeSeconds
    var arguments: [RESPArgument] = [.init(Int(MessageClock.now()) - expiry), .init(expiry)]
    for offer in offers {
      arguments += [.init(offer.capacity), .init(offer.messages.count)]
      arguments += offer.messages.flatMap { [RESPArgument($0.score), RESPArgument($0.bytes)] }
    }
    do throws(RedisFailure) {
      let counts = try await QueueScript.run(keys: offers.map(\.key), arguments: arguments, on: connection)
      let now = ContinuousClock.now
      for (offer, count) in zip(offers, counts) { took(count, of: offer, shard, at: now, hub) }
    } catch {
      hub.note("messages could not be sent", "\(error)")
      for offer in offers {
        fail(
          outgoing.drop(offer.messages.count, of: offer.key), error.isUncertain ? .unconfirmed : .partly, hub)
        fail(outgoing.drop(of: offer.key), .partly, hub)
      }
    }
  }

  private func took(
    _ count: Int?, of offer: OutgoingQueues.Offer, _ shard: Int, at now: ContinuousClock.Instant,
    _ hub: isolated RedisHub
  ) {
    guard let count else {
      hub.note("the key of a queue holds a value of another type", offer.key)
      return fail(outgoing.drop(of: offer.key), .partly, hub)
    }
    let taken = offer.messages.prefix(count)
    for message in taken {
      hub.shards[shard].recent.add(message.receipt, at: now)
      if message.receipt.taken() { hub.confirm(message.receipt) }
    }
    for late in outgoing.took(taken.count, of: offer, at: now) { overCapacity(late, hub) }
  }

  private func fail(_ messages: [OutgoingQueues.Message], _ reason: Undelivered, _ hub: isolated RedisHub) {
    for message in messages { hub.tell(message.receipt, reason) }
  }

  private func overCapacity(_ message: OutgoingQueues.Message, _ hub: isolated RedisHub) {
    hub.note("a queue is full, and a message for it was dropped", message.group)
    hub.tell(message.receipt, .full)
  }
}
