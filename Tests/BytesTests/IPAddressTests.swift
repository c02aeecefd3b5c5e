import Testing

@testable import Bytes

struct IPAddressTests {
  @Test(arguments: [
    ("192.0.2.1", "192.0.2.1"), ("0.0.0.0", "0.0.0.0"), ("255.255.255.255", "255.255.255.255"),
    ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("2001:DB8::0:1", "2001:db8::1"),
    ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"),
    ("1:0:3:4:5:6:7:8", "1:0:3:4:5:6:7:8"), ("::ffff:192.0.2.1", "192.0.2.1"),
    ("::FFFF:c000:201", "192.0.2.1"), ("64:ff9b::192.0.2.1", "64:ff9b::c000:201"),
    ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
  ])
  func `an address is read and written in one form`(text: String, written: String) throws {
    let address = try #require(IPAddress(text))
    #expect(address.description == written)
    #expect(IPAddress(written) == address)
  }

  @Test(arguments: [
    "", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4 ", "1..2.3", "a.b.c.d", "1.2.3.4:5", ":",
    ":::",
    "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "12345::", "::g", "fe80::1%eth0",
    "[::1]",
    "1:2:3:4:5:6:7:1.2.3.4", "1.2.3.4::", "::1.2.3", "1:", ":1", "1:2:3:4:5:6:7:8:", "unknown",
  ])
  func `anything else is none`(_ text: String) {
    #expect(IPAddress(text) == nil)
  }

  @Test func `a site is an IPv4 address or the first half of an IPv6 address`() throws {
    #expect(IPAddress("2001:db8:1:2:3:4:5:6")?.site == IPAddress("2001:db8:1:2::"))
    #expect(IPAddress("192.0.2.1")?.site == IPAddress("192.0.2.1"))
    #expect(["127.1.2.3", "::1", "::ffff:127.0.0.1"].allSatisfy { IPAddress($0)?.isLoopback == true })
    #expect(["128.0.0.1", "::2", "1::1"].allSatisfy { IPAddress($0)?.isLoopback == false })
  }

  @Test func `private networks are told from the Internet`() {
    let near = [
      "10.1.2.3", "127.0.0.1", "192.168.0.1", "172.31.0.1", "169.254.1.1", "::1", "fd00::1", "fc00::1",
      "fe80::1",
    ]
    let far = [
      "11.0.0.1", "192.169.0.1", "172.32.0.1", "172.15.0.1", "8.8.8.8", "2001:db8::1", "fe00::1", "fec0::1",
    ]
    #expect(near.allSatisfy { IPAddress($0)?.isPrivate == true })
    #expect(far.allSatisfy { IPAddress($0)?.isPrivate == false })
  }

  @Test func `a network has the addresses that begin with its bits`() throws {
    func has(_ network: String, _ address: String) throws -> Bool {
      try IPNetwork(network).contains(#require(IPAddress(address)))
    }
    #expect(try has("10.0.0.0/8", "10.255.0.1"))
    #expect(try has("10.0.0.0/8", "::ffff:10.0.0.1"))
    #expect(try !has("10.0.0.0/8", "11.0.0.0"))
    #expect(try has("192.0.2.1", "192.0.2.1") && !has("192.0.2.1", "192.0.2.2"))
    #expect(try has("2001:db8::/33", "2001:db8:7fff::1") && !has("2001:db8::/33", "2001:db8:8000::1"))
    #expect(try has("2001:db8::/65", "2001:db8::7fff:0:0:1") && !has("2001:db8::/65", "2001:db8::8000:0:0:1"))
    #expect(try !has("0.0.0.0/0", "::1") && has("::/0", "1.2.3.4"))
    #expect(try IPNetwork("0.0.0.0/0").isEverything && IPNetwork("::/0").isEverything)
    #expect(try IPNetwork("10.0.0.0/8").description == "10.0.0.0/8")
    #expect(try IPNetwork("::1").description == "::1")
    #expect(throws: IPNetwork.Fault.notAnAddress) { try IPNetwork("proxy/8") }
    #expect(throws: IPNetwork.Fault.badLength) { try IPNetwork("10.0.0.0/33") }
    #expect(throws: IPNetwork.Fault.badLength) { try IPNetwork("10.0.0.0/") }
    #expect(throws: IPNetwork.Fault.bitsBehind(try IPNetwork("10.0.0.0/8"))) { try IPNetwork("10.0.0.5/8") }
  }
}

struct NetworkCoverTests {
  private func network(_ text: String) throws -> IPNetwork { try IPNetwork(text) }

  @Test(arguments: [
    ("10.0.0.0/8", ["10.0.0.0/8"]), ("10.1.0.0/16", ["10.0.0.0/8"]),
    ("10.0.0.0/8", ["10.0.0.0/9", "10.128.0.0/9"]),
    ("10.0.0.1", ["10.0.0.0/31", "::/0"]), ("fd00::/8", ["fd00::/9", "fd80::/10", "fdc0::/10"]),
  ])
  func `a network that others contain has no address outside`(_ text: String, _ others: [String]) throws {
    #expect(try network(text).address(outsideOf: others.map(network)) == nil)
  }

  @Test(arguments: [
    ("10.0.0.0/8", ["10.0.0.0/9"], "10.128.0.0"), ("10.0.0.0/8", [], "10.0.0.0"),
    ("10.0.0.0/30", ["10.0.0.0/31", "10.0.0.3"], "10.0.0.2"), ("::/0", ["::/1"], "8000::"),
    ("fd00::/8", ["fd00::/9", "fdc0::/10"], "fd80::"),
  ])
  func `an address that no other network contains is shown`(
    _ text: String, _ others: [String], _ address: String
  ) throws {
    #expect(try network(text).address(outsideOf: others.map(network)) == IPAddress(address))
  }
}
