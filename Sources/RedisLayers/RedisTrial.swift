package import ChannelLayers
package import GatewayConfig
import JSON
import Logging
package import NIOPosix
import RedisClient
import Transport

/// A separate participant of a Redis layer, without sessions, for trying the layer before it is served: it receives the events of one
/// group, and publishes events.
package final class RedisTrial: Sendable {
  /// How long a layer may take to become available, and an event to arrive.
  package static let patience = Duration.seconds(5)
  package static let eventType = "sluice.probe"

  /// The group whose events it receives.
  package let group = RedisTrial.freshName()
  private let hub: RedisHub
  private let uses: LayerUses
  private let thread: ReactorThread
  private let deliveries: AsyncStream<RedisDelivery>
  /// Ends with `close`, which waits for it.
  private let running: Task<Void, Never>

  /// A name that nobody else uses, for a group or an event.
  package static func freshName() -> String { "\(eventType).\(RedisIdentity.newID())" }

  package init(
    _ layer: RedisLayerConfiguration, alias: String, for uses: LayerUses,
    on loop: MultiThreadedEventLoopGroup
  ) async throws {
    self.uses = uses
    let log = Logger(label: "trial") { _ in SwiftLogNoOpLogHandler() }
    hub = RedisHub(alias: alias, layer, on: loop, log: log)
    let (deliveries, arrive) = AsyncStream<RedisDelivery>.makeStream()
    self.deliveries = deliveries
    let (thread, mailbox) = try Reactor.start(name: "trial") { reactor in
      reactor.mailbox { (delivery: RedisDelivery) in _ = arrive.yield(delivery) }
    }
    self.thread = thread
    await hub.connect(to: [mailbox])
    running = Task { [hub] in await hub.run() }
  }

  /// Removes its entries from Redis.
  package func close() async {
    await hub.stop(within: .seconds(1))
    await running.value
    thread.stop()
    thread.join()
  }

  /// Connects to every host, tries every required right, and joins the group.
  package func open() async throws(LayerFailure) {
    if let failure = await hub.firstConnection(for: uses) { throw failure }
    guard await hub.waitUntilAvailable(within: Self.patience) else {
      throw LayerFailure(
        text: "Redis answers, but the layer does not work: \(await hub.outage ?? "no answer in time")",
        hint: "check the rights (ACL) of the Redis user")
    }
    hub.change(.wanted(group: group, reactor: 0))
    guard await waits(for: { if case .subscribed(self.group, .active) = $0 { true } else { false } }) else {
      throw LayerFailure(
        text: "a group could not be joined", hint: "check the rights (ACL) of the Redis user")
    }
  }

  /// Sends the event `{"type": "sluice.probe", "token": token}`. Returns why it was not sent, or nil.
  package func send(_ token: String, to group: String) -> String? {
    let event = Event(type: Self.eventType, fields: [.init("token", .json(.string(token)))])
    let sender = Sender.session(reactor: 0, member: MemberNumber(slot: 0, serial: 0))
    return hub.publish(OutgoingEvent(event: event, group: group, sender: sender))?.rawValue
  }

  /// Whether an event with the token arrives. After one that did not arrive, no later one is received.
  package func hears(_ token: String) async -> Bool {
    await waits { delivery in
      guard case .toGroup(let event, self.group) = delivery else { return false }
      return event["token"] == .json(.string(token))
    }
  }

  private func waits(for isWanted: @escaping @Sendable (RedisDelivery) -> Bool) async -> Bool {
    await within(Self.patience) { [deliveries] in
      for await delivery in deliveries where isWanted(delivery) { return true }
      return false
    } ?? false
  }
}
