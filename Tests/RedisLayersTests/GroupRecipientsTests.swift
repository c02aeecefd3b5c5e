import ChannelLayers
import Testing

@testable import GatewayConfig
@testable import RedisLayers

struct GroupRecipientsTests {
  @Test func `members are brought together by the queues they read, and ours are left out`() {
    var configuration = RedisLayerConfiguration(layout: .core)
    configuration.prefix = "p"
    configuration.capacity = 7
    let identity = RedisIdentity(configuration)
    let ours = identity.clients[0]
    let session = SessionAddresses(ours, reactor: 0, cipher: identity.sessions)
      .address(of: MemberNumber(slot: 1, serial: 2))
    let recipients = GroupRecipients(
      ["specific.a!x", ours + "g1", "plain", "specific.b!", "specific.a!y", session],
      except: identity,
      configuration)
    #expect(
      recipients.queues == [
        .init(key: "pspecific.a!", shard: 0, capacity: 7, channels: ["specific.a!x", "specific.a!y"]),
        .init(key: "pplain", shard: 0, capacity: 7, channels: ["plain"]),
        .init(key: "pspecific.b!", shard: 0, capacity: 7, channels: ["specific.b!"]),
      ])
    #expect(recipients.sessions == [session.dropFirst(ours.count)])
  }
}
