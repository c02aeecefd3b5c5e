import Glibc
import TestSupport
import Testing

@testable import Transport

struct ServerAddressTests {
  private static let patience = Duration.seconds(20)

  @Test func `a dialled connection arrives, from the address that was asked for`() throws {
    let listener = try listenOnAnyPort()
    setNonBlocking(listener.rawValue, false)
    let server = try ServerAddress.find(host: "localhost", port: listener.port, timeout: Self.patience)
    // That of the search.
    _ = Descriptor(adopting: accept(listener.rawValue, nil, nil))
    for (source, host) in [(0, "127.0.0.1"), (1, "127.0.0.2"), (199, "127.0.0.200")] {
      let dialled = try server.dial(from: source)
      let accepted = Descriptor(adopting: accept(listener.rawValue, nil, nil))
      let raw = accepted.rawValue
      let peer = unsafe SocketAddress { unsafe getpeername(raw, $0, $1) }.map(\.peer)
      #expect(peer?.host == host)
      _ = consume dialled
      _ = consume accepted
    }
  }

  @Test func `nobody there is a failure`() throws {
    let port = try listenOnAnyPort().port
    #expect(throws: TransportFailure.cannotConnect(ECONNREFUSED)) {
      try ServerAddress.find(host: "127.0.0.1", port: port, timeout: Self.patience)
    }
  }

  @Test func `a name without an address is a failure`() {
    #expect(throws: TransportFailure.self) {
      try ServerAddress.find(host: "256.256.256.256", port: 1, timeout: Self.patience)
    }
  }
}
