import Glibc
import Testing

@testable import Transport

struct AcceptorTests {
  @Test func `a storm of connections is accepted, and slots are used again`() throws {
    let slots = Reports<Int>()
    try withReactor({ reactor in
      let listener = try listenOnAnyPort()
      let port = listener.port
      reactor.listen(on: listener) { descriptor in
        let handler = Handler()
        handler.onReceived = { connection, bytes in
          connection.write(bytes.bytes)
          connection.finish(timeout: .seconds(5))
        }
        handler.onClosed = { _ in slots.add(reactor.connectionCount) }
        handler.connection = reactor.adopt(descriptor, handler: handler)
      }
      return port
    }) { port in
      for _ in 0..<20 {
        let clients = (0..<100).map { _ in connect(to: port) }
        for (index, client) in clients.enumerated() {
          send([UInt8(index)], to: client)
          #expect(receive(1, from: client) == [UInt8(index)])
          close(client)
        }
      }
      #expect(slots.wait(for: 2000).last == 0)
    }
  }

  @Test func `without descriptors a client is turned away, and accepting goes on later`() async {
    // In a process of its own, whose limit nobody else feels.
    await #expect(processExitsWith: .success) {
      let early = socket(AF_INET, 1, 0)
      try withReactor({ reactor in
        let listener = try listenOnAnyPort()
        let port = listener.port
        reactor.listen(on: listener) { echo($0, on: reactor) }
        return (
          port,
          reactor.mailbox { (failures: Reports<UInt64>) in failures.add(reactor.counters.acceptFailures) }
        )
      }) { port, mailbox in
        // As whatever else runs in the process may: a number is free below those that are kept back.
        close(early)
        let refused = socket(AF_INET, 1, 0)
        let limit = takeAllDescriptors()
        connect(refused, to: port)
        #expect(receive(1, from: refused) == [])
        let failures = Reports<UInt64>()
        mailbox.post(failures)
        #expect(failures.wait(for: 1) == [1])
        // The whole of it again: the numbers behind this one may be those of descriptors that were inherited.
        limitDescriptors(to: limit)
        let later = connect(to: port)
        send([2], to: later)
        #expect(receive(1, from: later) == [2])
      }
    }
  }

  @Test func `the callback may end the listening, and hears of no other client`() throws {
    let accepted = Reports<Int>()
    try withReactor({ reactor in
      let listener = try listenOnAnyPort()
      // Both wait to be accepted before the reactor looks at them.
      let clients = (0..<2).map { [port = listener.port] _ in connect(to: port) }
      reactor.listen(on: listener) { descriptor in
        accepted.add(clients.count)
        reactor.stopListening()
        _ = descriptor.rawValue
      }
      return clients
    }) { clients in
      for client in clients {
        #expect(receive(1, from: client) == [])
        close(client)
      }
      #expect(accepted.values == [2])
    }
  }

  @Test func `clients that wait when listening ends are accepted, up to a number`() throws {
    let accepted = Reports<Int>()
    try withReactor({ reactor in
      let listener = try listenOnAnyPort()
      let clients = (0..<100).map { [port = listener.port] _ in connect(to: port) }
      reactor.listen(on: listener) { descriptor in accepted.add(Int(descriptor.rawValue)) }
      reactor.acceptWaiting(atMost: 98)
      reactor.stopListening()
      return clients
    }) { clients in
      for client in clients.prefix(98) {
        // Accepted, and closed by the callback: an end, not a reset.
        #expect(receive(1, from: client) == [])
      }
      for client in clients { close(client) }
      #expect(accepted.values.count == 98)
    }
  }

  @Test func `a listener that is open elsewhere too is not heard after the end of listening`() throws {
    let turns = Reports<UInt64>()
    let copy = Reports<Int32>()
    try withReactor({ reactor in
      let listener = try listenOnAnyPort()
      let port = listener.port
      copy.add(try listener.duplicate().take())
      reactor.listen(on: listener) { _ in Issue.record("it accepts no more") }
      reactor.stopListening()
      let timer = reactor.timer { turns.add(reactor.counters.turns) }
      return (port, reactor.mailbox { (_: Int) in timer.schedule(after: .milliseconds(50)) })
    }) { port, mailbox in
      let client = connect(to: port)
      mailbox.post(1)
      let counted = try #require(turns.wait(for: 1).first)
      #expect(counted < 10)
      close(client)
    }
    for descriptor in copy.values { close(descriptor) }
  }

  @Test func `what is accepted does not block and does not wait to fill packets`() throws {
    let options = Reports<[Bool]>()
    try withReactor({ reactor in
      let listener = try listenOnAnyPort()
      let port = listener.port
      reactor.listen(on: listener) { descriptor in
        var noDelay: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        _ = unsafe getsockopt(descriptor.rawValue, Int32(IPPROTO_TCP), TCP_NODELAY, &noDelay, &size)
        options.add([
          noDelay != 0, fcntl(descriptor.rawValue, F_GETFL) & O_NONBLOCK != 0,
          fcntl(descriptor.rawValue, F_GETFD) & FD_CLOEXEC != 0,
        ])
      }
      return port
    }) { port in
      close(connect(to: port))
      #expect(options.wait(for: 1) == [[true, true, true]])
    }
  }
}
