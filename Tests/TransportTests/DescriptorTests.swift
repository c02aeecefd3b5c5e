import Glibc
import TestSupport
import Testing

@testable import Transport

struct DescriptorTests {
  @Test func `it is closed when its owner lets go of it`() {
    let (end, test) = socketPair()
    do {
      let descriptor = Descriptor(adopting: end)
      #expect(descriptor.rawValue == end)
    }
    #expect(receive(1, from: test) == [])
    close(test)
  }

  @Test func `what is taken from it stays open`() {
    let (end, test) = socketPair()
    let taken = Descriptor(adopting: end).take()
    send([1], to: taken)
    #expect(receive(1, from: test) == [1])
    close(taken)
    close(test)
  }

  @Test func `a duplicate is a second descriptor of the same socket`() throws {
    let (end, test) = socketPair()
    let copy = try Descriptor.duplicate(of: end)
    close(end)
    send([1], to: copy.rawValue)
    #expect(receive(1, from: test) == [1])
    #expect(fcntl(copy.rawValue, F_GETFD) & FD_CLOEXEC != 0)
    close(test)
  }

  @Test func `the sockets of a pair are connected, do not block, and are not inherited`() throws {
    let (one, other) = try Descriptor.socketPair()
    for raw in [one, other] {
      #expect(fcntl(raw, F_GETFD) & FD_CLOEXEC != 0)
      #expect(fcntl(raw, F_GETFL) & O_NONBLOCK != 0)
    }
    send([1], to: one)
    #expect(receive(1, from: other) == [1])
    close(one)
    close(other)
  }

  @Test func `what is not open cannot be duplicated`() {
    #expect(throws: TransportFailure.system("duplicate a descriptor", EBADF)) {
      _ = try Descriptor.duplicate(of: -1)
    }
  }
}
