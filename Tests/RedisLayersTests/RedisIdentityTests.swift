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

struct SessionAddressesTests {
  @Test func `an address leads to the member it was made for`() {
    let member = MemberNumber(slot: 12, serial: 7)
    let address = SessionAddresses("p!", reactor: 3).address(of: member)
    #expect(address == "p!r3.12.7")
    let parsed = SessionAddresses.parse(address.dropFirst(2))
    #expect(parsed?.reactor == 3 && parsed?.member == member)
  }

  @Test(arguments: [
    "", "r", "r1", "r1.2", "r1.2.3.4", "g1.2.3", "r-1.2.3", "r1.2.", "r..", "r65536.1.1", "r1.4294967296.1",
    "r1.2.x",
  ]) func `anything else leads nowhere`(_ text: String) {
    #expect(SessionAddresses.parse(text) == nil)
  }
}
