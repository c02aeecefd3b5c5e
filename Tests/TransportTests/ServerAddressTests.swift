import Bytes
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

  @Test(arguments: [("127.0.0.1", true), ("::1", true), ("localhost", false), ("view.internal", false)])
  func `an address is known without a look-up`(_ host: String, _ isKnown: Bool) {
    #expect((ServerAddress(numeric: host, port: 80) != nil) == isKnown)
  }

  @Test func `the path of a Unix socket has a bound`() {
    #expect(ServerAddress(unixPath: "/run/view.sock") != nil)
    for path in ["", "/a\0b", String(repeating: "x", count: 108)] {
      #expect(ServerAddress(unixPath: path) == nil)
    }
  }

  @Test func `a socket says which server it is connected to`() throws {
    let listener = try listenOnAnyPort()
    let server = try #require(ServerAddress(numeric: "127.0.0.1", port: listener.port))
    let dialled = try server.dial()
    let same = try #require(ServerAddress(serverOf: dialled.rawValue))
    _ = try same.dial()
    let (one, other) = try Descriptor.socketPair()
    #expect(ServerAddress(serverOf: one) == nil)
    for end in [one, other] { _ = Descriptor(adopting: end) }
  }

  /// Tells what becomes of a connection to a server.
  private final class Told: ConnectionHandler {
    var words: [String] = []
    func received(_ bytes: inout MutableRawSpan) { words.append("\(bytes.byteCount) bytes") }
    func established() { words.append("established") }
    func peerFinished() { words.append("finished") }
    func drained() {}
    func closed(_ reason: ConnectionEnd) { words.append("\(reason)") }
  }

  @Test func `a reactor connects, and knows whether its server is quiet`() async throws {
    let listener = try listenOnAnyPort()
    let server = try #require(ServerAddress(numeric: "127.0.0.1", port: listener.port))
    let raw = listener.rawValue
    try await Reactor.withoutThread { reactor in
      let told = Told()
      let connection = try reactor.connect(to: server, handler: told)
      while !connection.isEstablished { _ = reactor.turnOnce(at: reactor.now) }
      setNonBlocking(raw, false)
      let accepted = accept(raw, nil, nil)
      #expect(connection.isQuiet)
      connection.write([1, 2, 3].rawBytes)
      while reactor.turnOnce(at: reactor.now) {}
      #expect(receive(3, from: accepted) == [1, 2, 3])
      send([4], to: accepted)
      while connection.isQuiet {}
      while !told.words.contains("1 bytes") { _ = reactor.turnOnce(at: reactor.now) }
      #expect(connection.isQuiet)
      close(accepted)
      while connection.isQuiet {}
      connection.abort()
    }
  }

  @Test func `on the loopback a connection is established at once`() async throws {
    let listener = try listenOnAnyPort()
    let server = try #require(ServerAddress(numeric: "127.0.0.1", port: listener.port))
    try await Reactor.withoutThread { reactor in
      let told = Told()
      let connection = try reactor.connect(to: server, handler: told)
      #expect(connection.isEstablished)
      connection.write([1, 2, 3].rawBytes)
      while reactor.turnOnce(at: reactor.now) {}
      let accepted = Descriptor(adopting: accept(listener.rawValue, nil, nil))
      #expect(receive(3, from: accepted.rawValue) == [1, 2, 3])
      connection.abort()
      // It was never to be told.
      #expect(told.words.isEmpty)
    }
  }

  @Test func `nobody there ends a connection that a reactor makes, or is told at once`() async throws {
    let port = try listenOnAnyPort().port
    let server = try #require(ServerAddress(numeric: "127.0.0.1", port: port))
    try await Reactor.withoutThread { reactor in
      let told = Told()
      do {
        _ = try reactor.connect(to: server, handler: told)
        while told.words.isEmpty { _ = reactor.turnOnce(at: reactor.now) }
        #expect(told.words == ["\(ConnectionEnd.failed(ECONNREFUSED))"])
      } catch {
        #expect(error as? TransportFailure == .cannotConnect(ECONNREFUSED))
      }
    }
  }
}
