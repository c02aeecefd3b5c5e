import Glibc
import TestSupport
import Testing

@testable import Transport

struct SendQueueTests {
  @Test func `chunks of both kinds are sent in order, however little the kernel takes at a time`() {
    let (end, test) = socketPair()
    var size: Int32 = 4096
    _ = unsafe setsockopt(end, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    let shared = SharedBytes(capacity: 64)
    shared.append([UInt8](repeating: 200, count: 5000))
    let queue = SendQueue(.unbounded())
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
    close(end)
    close(test)
  }

  @Test func `what many wait for is counted once, and no longer than somebody waits`() {
    let backlog = Backlog.unbounded()
    let before = backlog.allowance.used
    var queues = (0..<1000).map { _ in SendQueue(backlog) }
    for number in 0..<50 {
      let frames = SharedBytes(capacity: 64)
      frames.append([UInt8](repeating: UInt8(number), count: 100))
      for queue in queues { queue.append(frames, from: 0) }
    }
    #expect(queues.allSatisfy { $0.byteCount == 5000 })
    // One chunk, and a list of one range for each.
    #expect(backlog.allowance.used - before < 1000 * 100 + 100_000)
    let large = SharedBytes(capacity: 64)
    large.append([UInt8](repeating: 1, count: 1 << 20))
    let without = backlog.allowance.used
    for queue in queues { queue.append(large, from: 0) }
    large.clear()
    #expect((1 << 20..<2 << 20).contains(backlog.allowance.used - without))
    queues.removeLast(999)
    #expect(backlog.allowance.used - before > 1 << 20)
    queues = []
    // The chunk that is filled next stays.
    #expect(backlog.allowance.used - before < 100_000)
  }

  @Test func `a buffer that was written may be cleared and filled again`() {
    let (end, test) = socketPair()
    let queue = SendQueue(.unbounded())
    let frames = SharedBytes(capacity: 64)
    frames.append([1, 2, 3])
    queue.append(frames, from: 1)
    frames.append([4])
    queue.append(frames, from: 3)
    frames.clear()
    frames.append([5, 6])
    queue.append(frames, from: 0)
    var sends: UInt64 = 0
    #expect(queue.send(to: end, sends: &sends) == 0)
    #expect(sends == 1)
    #expect(receive(5, from: test) == [2, 3, 4, 5, 6])
    close(end)
    close(test)
  }

  @Test(arguments: [1, 99, 100, 101, 250, 299])
  func `who has to go keeps the rest of the piece that has begun`(_ sent: Int) {
    let (end, test) = socketPair()
    let queue = SendQueue(.unbounded())
    let frames = SharedBytes(capacity: 64)
    for number in 0..<3 {
      frames.append([UInt8](repeating: UInt8(number), count: 100))
      queue.append(frames, from: number * 100)
    }
    queue.consume(sent)
    #expect(queue.trim(toPieceOf: 100))
    let left = (100 - sent % 100) % 100
    #expect(queue.byteCount == left)
    unsafe [UInt8(9)].withUnsafeBytes { unsafe queue.append($0) }
    var sends: UInt64 = 0
    #expect(queue.send(to: end, sends: &sends) == 0)
    #expect(receive(left + 1, from: test) == [UInt8](repeating: UInt8(sent / 100), count: left) + [9])
    close(end)
    close(test)
  }

  @Test func `who has to go keeps the rest of a piece that was begun without the queue, more than once`() {
    let (end, test) = socketPair()
    let queue = SendQueue(.unbounded())
    unsafe [UInt8](repeating: 1, count: 50).withUnsafeBytes { unsafe queue.append(restOfPiece: $0) }
    for _ in 0..<2 {
      unsafe [UInt8](repeating: 2, count: 100).withUnsafeBytes { unsafe queue.append($0) }
      #expect(!queue.trim(toPieceOf: 49))
      #expect(queue.trim(toPieceOf: 50))
      #expect(queue.byteCount == 50)
    }
    var sends: UInt64 = 0
    #expect(queue.send(to: end, sends: &sends) == 0)
    #expect(receive(50, from: test) == [UInt8](repeating: 1, count: 50))
    // What follows has not begun.
    unsafe [UInt8](repeating: 2, count: 10).withUnsafeBytes { unsafe queue.append($0) }
    #expect(queue.trim(toPieceOf: 50))
    #expect(queue.isEmpty)
    close(end)
    close(test)
  }

  @Test func `a piece that is too long to be kept changes nothing`() {
    let queue = SendQueue(.unbounded())
    unsafe [UInt8](repeating: 1, count: 20_000).withUnsafeBytes { unsafe queue.append($0) }
    queue.consume(1)
    #expect(!queue.trim(toPieceOf: 4096))
    #expect(queue.byteCount == 19_999)
  }

  @Test func `what a queue was begun with is not late`() {
    let queue = SendQueue(.unbounded())
    unsafe [UInt8](repeating: 1, count: 20_000).withUnsafeBytes { unsafe queue.append($0) }
    queue.exemptAll()
    #expect(queue.byteCount - queue.exempt == 0)
    unsafe [UInt8](repeating: 1, count: 500).withUnsafeBytes { unsafe queue.append($0) }
    #expect(queue.byteCount - queue.exempt == 500)
    queue.consume(19_000)
    #expect(queue.byteCount - queue.exempt == 500)
    queue.consume(1100)
    #expect(queue.byteCount - queue.exempt == 400)
  }

  @Test func `small writes are put together`() {
    let (end, test) = socketPair()
    let queue = SendQueue(.unbounded())
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
    let queue = SendQueue(.unbounded())
    unsafe [UInt8(1)].withUnsafeBytes { unsafe queue.append($0) }
    var sends: UInt64 = 0
    #expect(queue.send(to: end, sends: &sends) == EPIPE)
    close(end)
  }

  @Test func `nothing is queued for nothing`() {
    let shared = SharedBytes(capacity: 64)
    let queue = SendQueue(.unbounded())
    unsafe [UInt8]().withUnsafeBytes { unsafe queue.append($0) }
    queue.append(shared, from: 0)
    #expect(queue.isEmpty)
    #expect(shared.kept.isEmpty)
  }
}
