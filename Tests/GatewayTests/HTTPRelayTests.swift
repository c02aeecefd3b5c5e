import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Gateway
@testable import Transport

/// The relay knows nothing of TLS: the clients here are without it.
struct HTTPRelayTests {
  /// The service's ends of the pairs.
  private final class Services: Sendable {
    private let ends = Mutex<[Int32]>([])

    deinit {
      for end in ends.withLock(\.self) { close(end) }
    }

    var count: Int { ends.withLock(\.count) }

    func add(_ end: Int32) {
      ends.withLock { $0.append(end) }
    }

    /// Sends as much as is taken at once.
    func send() {
      let block = [UInt8](repeating: 1, count: 4096)
      for end in ends.withLock(\.self) {
        while unsafe Glibc.send(end, block, block.count, Int32(MSG_NOSIGNAL)) > 0 {}
      }
    }

    /// - Returns: whether the relay has closed the pair of this number.
    func isEnded(_ number: Int) -> Bool {
      let end = ends.withLock { $0[number] }
      setNonBlocking(end, false)
      setTimeout(end)
      var byte: UInt8 = 0
      // A pair that is closed with something unread is reset.
      let count = unsafe recv(end, &byte, 1, 0)
      return count == 0 || count < 0 && errno == ECONNRESET
    }
  }

  private final class Nobody: ConnectionHandler {
    func received(_ bytes: inout MutableRawSpan) {}
    func peerFinished() {}
    func drained() {}
    func closed(_ reason: ConnectionEnd) {}
  }

  @Test func `a client that vanished is found, and one that merely does not read stays`() throws {
    let services = Services()
    let (thread, port) = try Reactor.start(name: "test") { reactor in
      let listener = try Listener.tcp(host: "127.0.0.1", port: 0, reusePort: false)
      guard case .tcp(_, let port) = listener.address else { throw RawClient.Failure(what: "no port") }
      let sweep = PeerSweep<HTTPRelay>(on: reactor, bound: .seconds(1))
      // Unowned: the reactor keeps the closure.
      reactor.listen(on: listener) { [unowned reactor] descriptor in
        guard let pair = try? Descriptor.socketPair() else { return }
        let client = reactor.adopt(descriptor, handler: Nobody())
        sweep.add(HTTPRelay(from: client, to: pair.0, on: reactor) { sweep.remove($0) })
        services.add(pair.1)
      }
      return port
    }
    defer {
      thread.stop()
      thread.join()
    }
    let clients = try (1...2).map { number in
      let client = try RawClient(port: port, window: 8192)
      while services.count < number { usleep(1000) }
      return client
    }
    clients[0].vanish()
    let deadline = Date.now + 20
    while try clients[0].isServed(by: port), Date.now < deadline {
      services.send()
      usleep(20_000)
    }
    let served = try clients.map { try $0.isServed(by: port) }
    #expect(served == [false, true])
    #expect(services.isEnded(0))
  }
}
