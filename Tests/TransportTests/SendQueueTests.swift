import Glibc
import Testing

@testable import Transport

struct SendQueueTests {
  @Test func `chunks of both kinds are sent in order, however little the kernel takes at a time`() {
    let (end, test) = socketPair()
    var size: Int32 = 4096
    _ = unsafe setsockopt(end, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    let shared = SharedBytes(capacity: 64)
    shared.append([UInt8](repeating: 200, count: 5000))
    var queue = SendQueue()
    var expected: [UInt8] = []
    for number in 0..<300 {
      let own = [UInt8](repeating: UInt8(number % 100), count: number * 7 % 400)
      unsafe own.withUnsafeBytes { unsafe queue.append($0) }
      expected += own
      guard number % 10 == 0 else { continue }
      queue.append(shared, from: number)
      expected += [UInt8](repeating: 200, count: 5000 - number)
    }
    #expect(queue.byteCount == expected.count)
    var got: [UInt8] = []
    var sends: UInt64 = 0
    while !queue.isEmpty {
      let before = queue.byteCount
      #expect(queue.send(to: end, sends: &sends) == 0)
      got += receive(before - queue.byteCount, from: test)
    }
    #expect(got == expected)
    #expect(!shared.isShared)
    close(end)
    close(test)
  }

  @Test func `a small part of shared bytes is copied, so that it keeps no buffer alive`() {
    let shared = SharedBytes(capacity: 64 * 1024)
    shared.append([UInt8](repeating: 1, count: 40 * 1024))
    var queue = SendQueue()
    queue.append(shared, from: 39 * 1024)
    #expect(!shared.isShared)
    queue.append(shared, from: 20 * 1024)
    #expect(!shared.isShared)
    queue.append(shared, from: 0)
    #expect(shared.isShared)
    #expect(queue.byteCount == (1 + 20 + 40) * 1024)
    queue.removeAll()
    #expect(!shared.isShared)
  }

  @Test func `small writes are put together`() {
    let (end, test) = socketPair()
    var queue = SendQueue()
    for _ in 0..<100 { unsafe [UInt8]([1, 2]).withUnsafeBytes { unsafe queue.append($0) } }
    var sends: UInt64 = 0
    #expect(queue.send(to: end, sends: &sends) == 0)
    #expect(sends == 1)
    #expect(receive(200, from: test).count == 200)
    close(end)
    close(test)
  }

  @Test func `a broken connection is told by its error, and raises no signal`() {
    let (end, test) = socketPair()
    close(test)
    var queue = SendQueue()
    unsafe [UInt8(1)].withUnsafeBytes { unsafe queue.append($0) }
    var sends: UInt64 = 0
    #expect(queue.send(to: end, sends: &sends) == EPIPE)
    close(end)
  }

  @Test func `nothing is queued for nothing`() {
    let shared = SharedBytes(capacity: 64)
    var queue = SendQueue()
    unsafe [UInt8]().withUnsafeBytes { unsafe queue.append($0) }
    queue.append(shared, from: 0)
    #expect(queue.isEmpty)
    #expect(!shared.isShared)
  }
}
