import ChannelLayers
import Testing

@testable import GatewayConfig
@testable import RedisLayers

struct RedisIdentityTests {
  private let core = RedisIdentity(RedisLayerConfiguration(layout: .core))

  @Test func `two processes have nothing in common`() {
    let other = RedisIdentity(RedisLayerConfiguration(layout: .core))
    #expect(core.id != other.id && Set(core.clients).isDisjoint(with: other.clients))
  }

  @Test func `a group has one queue of several, always the same`() {
    let clients = (0..<200).map { core.client(for: "chat_\($0)") }
    #expect(Set(clients) == Set(core.clients) && core.clients.count == RedisIdentity.stripeCount)
    #expect(clients == (0..<200).map { core.client(for: "chat_\($0)") })
    #expect(core.clients == RedisIdentity.clients(core.id))
  }

  @Test func `a name of ours is told from those of others`() {
    #expect(core.local(core.clients[1] + "g7") == "g7")
    #expect(core.local(core.clients[0]) == "")
    for name in ["", "!", "plain", "specific.abc!g7", "x\(core.clients[0])g7"] {
      #expect(core.local(name) == nil)
    }
  }

  @Test func `all names fit into what Django takes`() {
    let addresses = SessionAddresses(core.addressPrefix, reactor: 65_535)
    let address = addresses.address(of: MemberNumber(slot: .max, serial: .max))
    #expect(address.count < 100)
  }
}
