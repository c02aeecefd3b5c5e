import Glibc
import TestSupport
import Testing

@testable import Transport

struct PeerAddressTests {
  @Test(arguments: [
    (PeerAddress.tcp(host: "127.0.0.1", port: 80), "127.0.0.1:80"),
    (.tcp(host: "::1", port: 8000), "[::1]:8000"), (.unix, "unix"),
    (.tcp(host: "192.0.2.1", port: 0), "192.0.2.1"), (.tcp(host: "::1", port: 0), "::1"),
  ])
  func `it is written as in a URL`(address: PeerAddress, text: String) {
    #expect(address.description == text)
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
      #expect(peers.wait(for: 1) == [PeerAddress(own)])
      close(client)
    }
  }
}
