import Bytes
import Testing
import Transport
import WebSocketCore

@testable import GatewayConfig
@testable import Sessions

private func proxies(_ networks: [String] = ["10.0.0.0/8", "2001:db8:f::/48"], unix: Bool = false) throws
  -> TrustedProxies
{
  var proxies = TrustedProxies()
  proxies.networks = try networks.map { try IPNetwork($0) }
  proxies.unix = unix
  return proxies
}

private func client(
  _ lines: [(String, String)], from peer: PeerAddress = .tcp(IPAddress(v4: 0x0A00_0001), port: 4000),
  _ trusted: TrustedProxies,
  isSecure: Bool = false
) -> Client {
  Client(peer: peer, isSecure: isSecure).believed(
    lines.map { HeaderField(name: $0.0, value: $0.1) }, trusting: trusted)
}

struct ForwardedTests {
  @Test(arguments: [
    // The nearest proxy has written the last address; what stands before it may be the client's own.
    ("203.0.113.7", "203.0.113.7"), ("198.51.100.9, 203.0.113.7", "203.0.113.7"),
    ("198.51.100.9, 203.0.113.7, 10.0.0.2", "203.0.113.7"), ("203.0.113.7,10.0.0.3,10.0.0.2", "203.0.113.7"),
    ("10.0.0.9, 10.0.0.2", "10.0.0.9"), ("203.0.113.7:4711", "203.0.113.7:4711"),
    ("2001:db8::7", "2001:db8::7"), ("[2001:db8::7]", "2001:db8::7"),
    ("[2001:db8::7]:4711", "[2001:db8::7]:4711"),
    ("::ffff:203.0.113.7", "203.0.113.7"), ("203.0.113.7, ,", "203.0.113.7"),
    // What cannot be read says nothing, and hides what stands before it.
    ("unknown", "10.0.0.1:4000"), ("203.0.113.7, unix:", "10.0.0.1:4000"),
    ("203.0.113.7, unknown, 10.0.0.2", "10.0.0.2"),
    ("203.0.113.7:99999", "10.0.0.1:4000"), ("203.0.113.7:0", "10.0.0.1:4000"),
    ("2001:db8::7:4711x", "10.0.0.1:4000"),
    ("[203.0.113.7]", "10.0.0.1:4000"), ("203.0.113.7 203.0.113.8", "10.0.0.1:4000"), ("", "10.0.0.1:4000"),
    ("999.1.1.1", "10.0.0.1:4000"), ("[", "10.0.0.1:4000"), (":", "10.0.0.1:4000"), ("]", "10.0.0.1:4000"),
  ])
  func `X-Forwarded-For is read from the right, past trusted proxies`(value: String, peer: String) throws {
    #expect(client([("x-forwarded-for", value)], try proxies()).peer.description == peer)
  }

  @Test func `several fields are one list`() throws {
    let lines = [
      ("x-forwarded-for", "198.51.100.9"), ("x-forwarded-for", "203.0.113.7"),
      ("x-forwarded-for", "10.0.0.2"),
    ]
    #expect(client(lines, try proxies()).peer.description == "203.0.113.7")
  }

  @Test func `nothing is believed of anybody else`() throws {
    let lines = [
      ("x-forwarded-for", "203.0.113.7"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "example.com"),
      ("forwarded", "for=203.0.113.7;proto=https;host=example.com"),
    ]
    for (peer, trusted) in [
      (PeerAddress.tcp(IPAddress(v4: 0x0B00_0001), port: 1), try proxies()), (.unix, try proxies()),
      (.tcp(IPAddress(v4: 0x0A00_0001), port: 1), try proxies([], unix: true)),
      (.tcp(IPAddress(v4: 0x0A00_0001), port: 1), TrustedProxies()),
    ] {
      let told = client(lines, from: peer, trusted)
      #expect(told.peer == peer && !told.isSecure && told.forwardedHost == nil)
    }
    let told = client(lines, from: .unix, try proxies([], unix: true))
    #expect(told.peer.description == "203.0.113.7" && told.isSecure && told.forwardedHost == "example.com")
    let other = try #require(IPAddress("2001:db8:f::1"))
    #expect(client(lines, from: .tcp(other, port: 1), try proxies()).isSecure)
  }

  @Test(arguments: [
    ("203.0.113.7", "https", true), ("203.0.113.7", "http", false), ("203.0.113.7", "HTTPS", true),
    ("203.0.113.7", "wss", true), ("203.0.113.7", "ws", false),
    // With one trusted proxy passed over it is the value before the last that the first of them wrote.
    ("203.0.113.7, 10.0.0.2", "https, http", true), ("203.0.113.7, 10.0.0.2", "https", true),
    ("203.0.113.7", "https, http", false), ("203.0.113.7, 10.0.0.2", "http, https, http", true),
    ("203.0.113.7", "gopher", nil), ("203.0.113.7", "", nil),
  ])
  func `the scheme is the one that the client's own proxy was spoken to in`(
    addresses: String, schemes: String, isSecure: Bool?
  ) throws {
    let lines = [("x-forwarded-for", addresses), ("x-forwarded-proto", schemes)]
    for own in [true, false] {
      #expect(client(lines, try proxies(), isSecure: own).isSecure == isSecure ?? own)
    }
  }

  @Test(arguments: [
    ("example.com", "example.com"), ("example.com:8443", "example.com:8443"),
    ("[2001:db8::1]:8443", "[2001:db8::1]:8443"),
    ("evil.example, example.com", "example.com"), ("exa mple.com", nil), ("http://example.com/", nil),
    ("", nil), (String(repeating: "a", count: 301), nil),
  ])
  func `a host that is none is not believed`(value: String, host: String?) throws {
    let told = client([("x-forwarded-host", value)], try proxies())
    #expect(told.forwardedHost == host && told.host("own") == host ?? "own")
  }

  @Test(arguments: [
    ("for=203.0.113.7", "203.0.113.7", false, nil),
    ("For=203.0.113.7;PROTO=https;by=10.0.0.1", "203.0.113.7", true, nil),
    (
      #"for="203.0.113.7:4711";proto=https;host="example.com:8443""#, "203.0.113.7:4711", true,
      "example.com:8443"
    ),
    (#"for="[2001:db8::7]:4711""#, "[2001:db8::7]:4711", false, nil),
    (#"for="[2001:db8::7]""#, "2001:db8::7", false, nil),
    (#"for="203.0.113.7:_hidden""#, "203.0.113.7", false, nil),
    (
      "for=198.51.100.9;proto=https, for=203.0.113.7;proto=http, for=10.0.0.2;proto=http", "203.0.113.7",
      false, nil
    ),
    ("for=203.0.113.7;proto=https;host=a, for=10.0.0.2;proto=http;host=b", "203.0.113.7", true, "a"),
    (#"for=203.0.113.7;ext="a\",;b""#, "203.0.113.7", false, nil),
    ("for=203.0.113.7;;proto=https", "203.0.113.7", true, nil),
    ("for=unknown;proto=https", "10.0.0.1:4000", true, nil), ("for=_hidden", "10.0.0.1:4000", false, nil),
    ("proto=https", "10.0.0.1:4000", true, nil),
    // What breaks the grammar says nothing.
    ("for=203.0.113.7;for=203.0.113.8", "10.0.0.1:4000", false, nil),
    ("for=203.0.113.7;proto", "10.0.0.1:4000", false, nil),
    (#"for="203.0.113.7"#, "10.0.0.1:4000", false, nil),
    ("for = 203.0.113.7;proto=https", "10.0.0.1:4000", false, nil),
    ("for=203.0.113.7 proto=https", "10.0.0.1:4000", false, nil), (#"for="\"#, "10.0.0.1:4000", false, nil),
    ("for=[2001:db8::7]", "10.0.0.1:4000", false, nil), ("", "10.0.0.1:4000", false, nil),
  ])
  func `Forwarded says the same (RFC 7239)`(value: String, peer: String, isSecure: Bool, host: String?) throws
  {
    let told = client([("forwarded", value)], try proxies())
    #expect(told.peer.description == peer && told.isSecure == isSecure && told.forwardedHost == host)
  }

  @Test func `a Forwarded beside an X-Forwarded field is the client's own`() throws {
    let lines = [("forwarded", "for=198.51.100.9;proto=https"), ("x-forwarded-for", "203.0.113.7")]
    let told = client(lines, try proxies())
    #expect(told.peer.description == "203.0.113.7" && !told.isSecure)
    #expect(
      client([("forwarded", "for=198.51.100.9"), ("x-forwarded-proto", "https")], try proxies()).peer.host
        == "10.0.0.1")
  }
}
