import Glibc
import NIOSSL
import Synchronization
import TestSupport
import Testing

@testable import Transport

/// The choice of a certificate is a part of the step that another thread makes; here it takes as long as a test wants.
struct HandshakeThreadTests {
  /// A reactor that echoes over TLS, and the handshakes that its thread is held up in.
  private final class Scene {
    let context: TLSContext
    /// The names in the hellos whose step has been begun.
    let begun = Reports<String>()
    let closed = Reports<String>()
    let received = Reports<[UInt8]>()
    private let gate = Semaphore()
    let thread: ReactorThread
    private let mailbox: Mailbox<Order>

    enum Order: Sendable {
      /// The descriptor of a client with TLS, or of one without.
      case adopt(Int32, isSecure: Bool)
      case abortAll
    }

    init() throws {
      let (begun, gate, closed, received) = (begun, gate, closed, received)
      let context = try TLSContext.ofTests { name in
        begun.add(name)
        _ = gate.wait()
        return 0
      }
      self.context = context
      (thread, mailbox) = try Reactor.start(name: "test") { reactor in
        try reactor.startHandshakeThread(name: "handshakes")
        return reactor.mailbox { [unowned reactor] (order: Order) in
          switch order {
          case .adopt(let raw, let isSecure):
            let handler = Handler()
            handler.onReceived = { connection, bytes in
              received.add([UInt8](copying: bytes.bytes))
              connection.write(bytes.bytes)
            }
            handler.onClosed = { closed.add("\($0)") }
            handler.connection = reactor.adopt(
              Descriptor(adopting: raw), handler: handler, tls: isSecure ? context : nil)
          case .abortAll:
            for connection in reactor.connections where connection.isSecure { connection.abort() }
          }
        }
      }
    }

    /// - Returns: the client's end.
    private func client(isSecure: Bool = true) throws -> Int32 {
      let pair = try tcpPair()
      // What is written leaves at once: a reset discards the rest.
      SocketCall.set(TCP_NODELAY, at: Int32(IPPROTO_TCP), on: pair.test)
      mailbox.post(.adopt(pair.reactor, isSecure: isSecure))
      return pair.test
    }

    /// A client that has sent its hello.
    func secureClient(_ name: String, version: TLSVersion = .tlsv13) throws -> (
      peer: TLSPeer, end: Int32
    ) {
      let end = try client()
      setNonBlocking(end)
      let peer = try TLSPeer(end, name: name, version: version)
      try peer.exchange()
      return (peer, end)
    }

    /// Lets so many steps go on that are held up, or will be.
    func goOn(_ count: Int = 1) { for _ in 0..<count { gate.signal() } }

    func abortAll() { mailbox.post(.abortAll) }

    /// An answer on a plain connection: the reactor has done what it was told before.
    func echoesPlainly() throws -> Bool {
      let end = try client(isSecure: false)
      defer { close(end) }
      send([1, 2, 3], to: end)
      return receive(3, from: end) == [1, 2, 3]
    }

    func stop() {
      thread.stop()
      thread.join()
    }
  }

  private func serving(_ body: (Scene) throws -> Void) throws {
    let scene = try Scene()
    defer {
      scene.goOn(100)
      scene.stop()
    }
    try body(scene)
  }

  private func echo(_ peer: TLSPeer, on end: Int32) throws -> [UInt8] {
    peer.write([7, 8, 9])
    for _ in 0..<2000 where peer.received.count < 3 && !peer.isAtEnd {
      try peer.exchange()
      _ = SocketCall.poll(end, POLLIN, until: .now + .milliseconds(10))
    }
    return peer.received
  }

  /// Resets the connection.
  private func reset(_ end: Int32) {
    var option = linger(l_onoff: 1, l_linger: 0)
    unsafe setsockopt(end, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    close(end)
  }

  /// Whether the server's end is closed, after what it has sent.
  private func isAtEnd(_ end: Int32, within time: Duration) -> Bool {
    let deadline = MonotonicTime.now + time
    var buffer = [UInt8](repeating: 0, count: 4096)
    while SocketCall.poll(end, POLLIN, until: deadline) != 0 {
      if unsafe recv(end, &buffer, buffer.count, 0) <= 0 { return true }
    }
    return false
  }

  @Test(arguments: [TLSVersion.tlsv12, .tlsv13])
  func `others are served while a hello is answered`(_ version: TLSVersion) throws {
    try serving { scene in
      let client = try scene.secureClient("a", version: version)
      defer { close(client.end) }
      #expect(scene.begun.wait(for: 1) == ["a"])
      #expect(try scene.echoesPlainly())
      scene.goOn()
      #expect(try echo(client.peer, on: client.end) == [7, 8, 9])
    }
  }

  @Test func `hellos are answered in their order`() throws {
    try serving { scene in
      let clients = try ["a", "b", "c"].map { name in
        let client = try scene.secureClient(name)
        // Its hello has been seen.
        #expect(try scene.echoesPlainly())
        return client
      }
      defer { for client in clients { close(client.end) } }
      scene.goOn(3)
      for client in clients { #expect(try echo(client.peer, on: client.end) == [7, 8, 9]) }
      #expect(scene.begun.values == ["a", "b", "c"])
    }
  }

  @Test func `what is closed meanwhile is told at once, and keeps its descriptor until the step is made`()
    throws
  {
    try serving { scene in
      let client = try scene.secureClient("a")
      defer { close(client.end) }
      _ = scene.begun.wait(for: 1)
      scene.abortAll()
      #expect(scene.closed.wait(for: 1) == ["local"])
      #expect(!isAtEnd(client.end, within: .zero))
      scene.goOn()
      #expect(isAtEnd(client.end, within: .seconds(20)))
      #expect(try scene.echoesPlainly())
    }
  }

  @Test func `the hello of a client that resets while it waits is not answered`() throws {
    try serving { scene in
      let first = try scene.secureClient("a")
      defer { close(first.end) }
      _ = scene.begun.wait(for: 1)
      let gone = try scene.secureClient("b")
      #expect(try scene.echoesPlainly())
      reset(gone.end)
      #expect(try scene.echoesPlainly())
      let last = try scene.secureClient("c")
      defer { close(last.end) }
      scene.goOn(2)
      #expect(scene.closed.wait(for: 3).contains { $0.contains("\(ECONNRESET)") })
      #expect(try echo(last.peer, on: last.end) == [7, 8, 9])
      #expect(scene.begun.values == ["a", "c"])
    }
  }

  @Test func `one that resets while its step is made is closed after it`() throws {
    try serving { scene in
      let client = try scene.secureClient("a")
      _ = scene.begun.wait(for: 1)
      reset(client.end)
      #expect(try scene.echoesPlainly())
      scene.goOn()
      // The other one is the plain connection.
      #expect(scene.closed.wait(for: 2).contains { $0.hasPrefix("failed") })
    }
  }

  @Test(arguments: [true, false])
  func `what a client says before it resets is heard, together with the end of its handshake too`(
    _ isTogether: Bool
  ) throws {
    try serving { scene in
      for number in 1...20 {
        let client = try scene.secureClient("a")
        scene.goOn()
        // The answer to the hello.
        _ = SocketCall.poll(client.end, POLLIN, until: .now + .seconds(20))
        if isTogether { client.peer.write([7, 8, 9]) }
        // One takes the answer, the other one sends the end of the handshake.
        for _ in 0..<2 { try client.peer.exchange() }
        if !isTogether {
          client.peer.write([7, 8, 9])
          try client.peer.exchange()
        }
        reset(client.end)
        #expect(scene.received.wait(for: 1).count == number)
      }
      #expect(scene.received.values.allSatisfy { $0 == [7, 8, 9] })
    }
  }

  @Test func `a reactor that stops waits for the step that is being made, and no other one`() throws {
    let scene = try Scene()
    let clients = try ["a", "b"].map { try scene.secureClient($0) }
    _ = scene.begun.wait(for: 1)
    #expect(try scene.echoesPlainly())
    scene.thread.stop()
    #expect(scene.closed.wait(for: 3).count == 3)
    scene.goOn()
    scene.thread.join()
    #expect(scene.begun.values == ["a"])
    for client in clients {
      #expect(isAtEnd(client.end, within: .seconds(20)))
      close(client.end)
    }
  }
}
