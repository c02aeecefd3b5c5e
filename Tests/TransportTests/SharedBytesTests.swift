import Testing

@testable import Transport

struct SharedBytesTests {
  @Test func `it grows with what is appended, and keeps its memory when cleared`() {
    let bytes = SharedBytes(capacity: 1)
    #expect(bytes.capacity == 64)
    let numbers = (0..<1000).map { UInt8(truncatingIfNeeded: $0) }
    for start in stride(from: 0, to: 1000, by: 10) {
      let part = Array(numbers[start..<start + 10])
      bytes.append(part)
    }
    #expect(bytes.contents(from: 0) == numbers)
    #expect(bytes.contents(from: 990) == Array(numbers[990...]))
    let capacity = bytes.capacity
    bytes.clear()
    #expect(bytes.count == 0)
    #expect(bytes.capacity == capacity)
  }

  @Test func `it is shared for as long as a queue holds it`() {
    let bytes = SharedBytes(capacity: 20_000)
    bytes.append([UInt8](repeating: 1, count: 20_000))
    var one = SendQueue()
    var other = SendQueue()
    one.append(bytes, from: 0)
    other.append(bytes, from: 1)
    one.removeAll()
    #expect(bytes.isShared)
    other.removeAll()
    #expect(!bytes.isShared)
  }
}

extension SharedBytes {
  fileprivate func contents(from offset: Int) -> [UInt8] {
    unsafe withBytes(from: offset) { unsafe Array($0) }
  }
}
