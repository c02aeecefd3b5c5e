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
}

extension SharedBytes {
  fileprivate func contents(from offset: Int) -> [UInt8] {
    unsafe withBytes(from: offset) { unsafe Array($0) }
  }
}
