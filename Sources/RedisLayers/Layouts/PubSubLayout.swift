import ChannelLayers
import GatewayConfig
import Logging
import NIOCore
import RedisClient
import Transport

/// The layout of `channels_redis.pubsub`: a group is a channel of Redis's own publish and subscribe.
///
/// The events of this process also come back through the subscription, so that all processes see them in one order.
final class PubSubLayout: RedisLayout, Sendable {
  /// What stands before the name of a group in the name of its channel.
  let groupPrefix: String
  private let sessionPrefix: String

  init(_ configuration: RedisLayerConfiguration, _ identity: RedisIdentity) {
    groupPrefix = "\(configuration.prefix)__group__"
    sessionPrefix = identity.addressPrefix
  }

  var membershipEnd: RedisShard.End { .receiver }
  var receivesBySubscription: Bool { true }
  var clusterObjection: LayerFailure? { nil }

  private func channel(of group: String) -> String { groupPrefix + group }

  /// Subscriptions need no connection for commands.
  func joinAgain(_ shard: Int, of hub: isolated RedisHub) async throws(RedisFailure) {}

  /// Subscriptions end with their connection.
  func withdraw(_ hub: isolated RedisHub) async {}

  // MARK: - Subscriptions

  /// Subscribes to channels. Redis confirms with a message, after which waiting reactors are notified.
  func join(_ names: [String], _ shard: Int, of hub: isolated RedisHub) async {
    let link = hub.shards[shard].receiver
    guard let receiver = link.connection, link.isUp else {
      for name in names { hub.refused(name) }
      return
    }
    receiver.post(subscriptionsTo: names.map(channel(of:)))
  }

  /// Receives the messages of the subscriptions until the connection ends.
  func receive(_ shard: Int, on connection: RedisConnection, for hub: isolated RedisHub) async throws {
    try await connection.subscribe { [self] message in
      // The hub runs on the event loop of its connections.
      hub.assumeIsolated {
        handle(message, shard, $0)
        holdBack(shard, connection, $0)
      }
    }
    connection.post(subscriptionsTo: hub.interest.wanted(shard).map { channel(of: $0.name) })
    // The pattern comes last: when it is confirmed, so is everything before it.
    connection.post([RESPCommand("PSUBSCRIBE", .init(Self.globEscaped(sessionPrefix) + "*"))])
    await connection.waitUntilClosed()
    if let refusal = hub.shards[shard].receiver.refusal { throw refusal }
    missed(shard, connection, hub)
  }

  private func handle(_ message: RESPValue, _ shard: Int, _ hub: isolated RedisHub) {
    hub.shards[shard].receiver.heard(message)
    if let (kind, name, content) = message.announcement(under: groupPrefix) {
      if kind == "subscribe" { return hub.joined(name) }
      guard kind == "message", let group = hub.interest[name], let message = hub.decode(content) else {
        return
      }
      return hub.deliver(message.event, to: group)
    }
    guard case .array(let parts) = message, let kind = parts.first?.text else { return }
    switch (kind, parts.count) {
    case ("pmessage", 4):
      guard let channel = parts[2].text, let message = hub.decode(parts[3]) else { return }
      hub.deliver(message.event, toAddress: channel.dropFirst(sessionPrefix.count))
    case ("psubscribe", 3): hub.receiving(shard)
    default: break
    }
  }

  /// If too much waits for a reactor, the connection is not read until there is room. Redis has its own limit for what it keeps
  /// meanwhile (`client-output-buffer-limit`). Beyond that Redis ends the connection, which is logged.
  private func holdBack(_ shard: Int, _ connection: RedisConnection, _ hub: isolated RedisHub) {
    guard !hub.isStopping, let full = hub.overfull else { return }
    hub.noteHoldingBack(for: full)
    connection.pauseReading()
    let loop = hub.shards[shard].connector.eventLoop
    full.whenRoom {
      loop.execute {
        // On the hub's loop, as above. The server was not silent; the connection was not read.
        let isHeld = hub.assumeIsolated { hub in
          hub.shards[shard].receiver.heard()
          return hub.isHeld
        }
        if !isHeld { connection.resumeReading() }
      }
    }
  }

  /// Events that were published while no connection listened are lost.
  private func missed(_ shard: Int, _ connection: RedisConnection, _ hub: isolated RedisHub) {
    guard !hub.isStopping, hub.shards[shard].receiver.isUp || connection.isAdopted else { return }
    hub.log.warning(
      "subscriptions were interrupted: events may have been missed",
      metadata: ["layer": "\(hub.alias)", "host": "\(hub.shards[shard].connector.host)"])
  }

  /// Escapes names that Redis would read as a pattern.
  private static func globEscaped(_ text: String) -> String {
    text.reduce(into: "") { escaped, character in
      if #"*?[]\^"#.contains(character) { escaped.append("\\") }
      escaped.append(character)
    }
  }

  func tend(_ shard: Int, beat count: Int, of hub: isolated RedisHub) async {
    // Without a connection there is nothing to leave.
    let leaving = hub.interest.takeLeaving(shard, at: .now)
    hub.interest.left(leaving)
    let link = hub.shards[shard].receiver
    guard let receiver = link.connection else { return }
    for group in leaving { receiver.post([RESPCommand("UNSUBSCRIBE", .init(channel(of: group.name)))]) }
    link.closeIfSilent()
    guard count % 5 == 0 else { return }
    receiver.post([RESPCommand("PING")])
    hub.shards[shard].commands.connection?.checkLife()
  }

  // MARK: - Events out

  private struct Publication {
    var command: RESPCommand
    var receipt: Receipt
  }

  /// One round trip for each shard and batch.
  func publish(_ batch: [OutgoingEvent], from hub: isolated RedisHub) async {
    var byShard: [Int: [Publication]] = [:]
    for event in batch {
      let receipt = Receipt(event.sender)
      do throws(CodecFault) {
        let body = hub.codec.body(try hub.codec.encode(event.event), now: UInt64(MessageClock.now()))
        let command = RESPCommand("PUBLISH", .init(channel(of: event.group)), .init(body))
        byShard[hub.shard(of: event.group), default: []].append(
          Publication(command: command, receipt: receipt))
      } catch {
        hub.tell(receipt, .notSerializable)
      }
    }
    for (shard, publications) in byShard { await publish(publications, shard, hub) }
  }

  private func publish(_ publications: [Publication], _ shard: Int, _ hub: isolated RedisHub) async {
    do {
      guard let connection = hub.shards[shard].commands.connection else { throw RedisFailure.notConnected }
      let replies = try await connection.send(publications.map(\.command))
      let now = ContinuousClock.now
      for (publication, reply) in zip(publications, replies) {
        switch reply {
        // No process listened, not even this one, which has the sender in the group.
        case .integer(0) where !publication.receipt.isAwaited: hub.tell(publication.receipt, .unavailable)
        case .integer:
          hub.confirm(publication.receipt)
          hub.shards[shard].recent.add(publication.receipt, at: now)
        default:
          hub.note("Redis did not accept a message", reply.text ?? "an unexpected reply")
          hub.tell(publication.receipt, .unavailable)
        }
      }
    } catch {
      hub.note("messages could not be sent", "\(error)")
      let isUncertain = (error as? RedisFailure)?.isUncertain ?? true
      for publication in publications {
        hub.tell(publication.receipt, isUncertain ? .unconfirmed : .unavailable)
      }
    }
  }
}
