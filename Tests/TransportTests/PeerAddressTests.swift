import Bytes
import Glibc
import TestSupport
import Testing

@testable import Transport

struct PeerAddressTests {
  @Test(arguments: [
    ("127.0.0.1", 80, 0, "127.0.0.1:80"), ("::1", 8000, 0, "[::1]:8000"), ("192.0.2.1", 0, 0, "192.0.2.1"),
    ("::1", 0, 0, "::1"), ("::ffff:192.0.2.1", 1, 0, "192.0.2.1:1"), ("fe80::1", 1, 1, "[fe80::1%lo]:1"),
    ("fe80::1", 0, 999_999, "fe80::1%999999"),
  ])
  func `it is written as in a URL`(address: String, port: Int, zone: UInt32, text: String) throws {
    #expect(PeerAddress.tcp(try #require(IPAddress(address)), port: port, zone: zone).description == text)
  }

  @Test func `a client of a Unix socket has no address`() {
    #expect(PeerAddress.unix.description == "unix" && PeerAddress.unix.host == nil)
  }

  @Test func `an IPv6 client has its address`() throws {
    let listener = try Listener.tcp(host: "::1", port: 0, reusePort: false, backlog: 1)
    let server = try #require(unsafe SocketAddress { unsafe getsockname(listener.rawValue, $0, $1) })
    let client = socket(AF_INET6, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(client) }
    let result = unsafe server.pass { unsafe Glibc.connect(client, $0, $1) }
    #expect(result == 0)
    setNonBlocking(listener.rawValue, false)
    let accepted = Descriptor(adopting: accept(listener.rawValue, nil, nil))
    #expect(PeerAddress(ofSocket: accepted.rawValue)?.address == IPAddress("::1"))
  }

  @Test(.bug(id: "ipv4-mapped"))
  func `an IPv4 client of a socket for both families has an IPv4 address`() throws {
    let listener = try Listener.tcp(host: "::", port: 0, reusePort: false, backlog: 1)
    guard case .tcp(_, let port) = listener.address else { return }
    let client = connect(to: port)
    defer { close(client) }
    setNonBlocking(listener.rawValue, false)
    let accepted = Descriptor(adopting: accept(listener.rawValue, nil, nil))
    #expect(PeerAddress(ofSocket: accepted.rawValue)?.host == "127.0.0.1")
  }

  @Test
  func `a client that has reset the connection has no address, and is not taken for one of a Unix socket`()
    throws
  {
    let (end, test) = try tcpPair()
    defer { close(end) }
    var reset = linger(l_onoff: 1, l_linger: 0)
    _ = unsafe setsockopt(test, SOL_SOCKET, SO_LINGER, &reset, socklen_t(MemoryLayout<linger>.size))
    #expect(PeerAddress(ofSocket: end)?.host == "127.0.0.1")
    close(test)
    #expect(PeerAddress(ofSocket: end) == nil)
    let ends = socketPair()
    defer {
      close(ends.reactor)
      close(ends.test)
    }
    #expect(PeerAddress(ofSocket: ends.reactor) == .unix)
  }

  @Test func `an accepted connection says where its client is`() throws {
    let peers = Reports<PeerAddress?>()
    try withReactor({ reactor in
      let listener = try listenOnAnyPort()
      let port = listener.port
      reactor.listen(on: listener) { descriptor in
        peers.add(PeerAddress(ofSocket: descriptor.rawValue))
      }
      return port
    }) { port in
      let client = connect(to: port)
      let own = try #require(unsafe SocketAddress { unsafe getsockname(client, $0, $1) })
      #expect(peers.wait(for: 1) == [own.peer])
      close(client)
    }
  }
}
