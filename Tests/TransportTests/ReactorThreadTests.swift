import Glibc
import TestSupport
import Testing

@testable import Transport

struct ReactorThreadTests {
  @Test func `a set-up that fails is thrown to the caller, and what it adopted is closed`() throws {
    let (end, test) = socketPair()
    let ends = Reports<ConnectionEnd>()
    #expect(throws: TransportFailure.addressInUse) {
      _ = try Reactor.start(name: "test") { reactor in
        let handler = Handler()
        handler.onClosed = { ends.add($0) }
        handler.connection = reactor.adopt(Descriptor(adopting: end), handler: handler)
        throw TransportFailure.addressInUse
      }
    }
    #expect(ends.values == [.local])
    #expect(receive(1, from: test) == [])
    close(test)
  }

  @Test func `the thread has the reactor's name, as much of it as the system takes`() throws {
    let (thread, name) = try Reactor.start(name: "reactor-of-the-test") { _ in
      let file = Descriptor(adopting: unsafe open("/proc/thread-self/comm", O_RDONLY))
      var name = [UInt8](repeating: 0, count: 32)
      let count = unsafe read(file.rawValue, &name, name.count)
      return String(decoding: name.prefix(count), as: UTF8.self)
    }
    #expect(name == "reactor-of-the-\n")
    thread.stop()
    thread.join()
    // Both may be asked for again.
    thread.stop()
    thread.join()
  }
}
