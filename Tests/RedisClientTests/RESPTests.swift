import TestSupport
import Testing

@testable import RedisClient

struct RESPTests {
  private static let examples: [(String, RESPValue)] = [
    ("+OK\r\n", .simpleString(Array("OK".utf8))),
    ("-ERR unknown command\r\n", .error("ERR unknown command")),
    (":0\r\n", .integer(0)), (":-9223372036854775808\r\n", .integer(.min)),
    ("$5\r\nhel\r\n\r\n", .bulkString(Array("hel\r\n".utf8))), ("$0\r\n\r\n", .bulkString([])),
    ("$-1\r\n", .null), ("*-1\r\n", .null), ("*0\r\n", .array([])),
    ("*2\r\n$1\r\na\r\n:1\r\n", .array([.bulkString([97]), .integer(1)])),
    ("*2\r\n*1\r\n:1\r\n*0\r\n", .array([.array([.integer(1)]), .array([])])),
  ]

  @Test(arguments: examples)
  func `a value is read, in one piece or byte by byte`(_ text: String, _ expected: RESPValue) throws {
    var whole = RESPDecoder()
    whole.append(Array((text + text).utf8))
    #expect(try whole.next() == expected)
    #expect(try whole.next() == expected)
    #expect(try whole.next() == nil)
    var slow = RESPDecoder()
    for (place, byte) in text.utf8.enumerated() {
      slow.append([byte])
      #expect(try slow.next() == (place == text.utf8.count - 1 ? expected : nil))
    }
  }

  @Test func `values cut anywhere are the same values`() throws {
    var random = SplitMix(seed: 3)
    let all = Array(Self.examples.map(\.0).joined().utf8)
    for _ in 0..<500 {
      var decoder = RESPDecoder()
      var values: [RESPValue] = []
      var position = 0
      while position < all.count {
        let end = min(all.count, position + Int.random(in: 1...40, using: &random))
        decoder.append(all[position..<end])
        position = end
        while let value = try decoder.next() { values.append(value) }
      }
      #expect(values == Self.examples.map(\.1))
    }
  }

  @Test func `another decoder goes on wherever one has stopped`() throws {
    let nested = "*3\r\n+a\r\n*2\r\n-ERR b\r\n$3\r\nc\r\n\r\n*-1\r\n"
    let all = Array((Self.examples.map(\.0).joined() + nested).utf8)
    var whole = RESPDecoder()
    whole.append(all)
    let expected = try whole.rest()
    for cut in 0...all.count {
      var (one, other) = (RESPDecoder(), RESPDecoder())
      one.append(all[..<cut])
      let first = try one.rest()
      other.append(try #require(one.unread))
      other.append(all[cut...])
      #expect(try first + other.rest() == expected)
      #expect(other.unread == [])
    }
  }

  @Test func `no other decoder goes on with a string that is not kept`() throws {
    var limits = RESPDecoder.Limits()
    limits.string = 4
    var decoder = RESPDecoder(limits: limits)
    for text in ["*2\r\n$5\r\nab", "cde\r\n"] {
      decoder.append(Array(text.utf8))
      #expect(try decoder.next() == nil)
      #expect(decoder.unread == nil)
    }
    decoder.append(Array(":1\r\n".utf8))
    #expect(try decoder.next() == .array([.oversized(5), .integer(1)]))
    #expect(decoder.unread == [])
  }

  @Test(arguments: [
    "x\r\n", ":a\r\n", ":\r\n", "$a\r\n", "$-2\r\n", "$99999999999999\r\n", "*99999999999\r\n", "*-5\r\n",
    "$1\r\nabc\r\n", "+a\rb\r\n", "\r\n", String(repeating: "*1\r\n", count: 17),
    // RESP3, which is not asked for.
    "_\r\n", "#t\r\n", ",1\r\n", "(1\r\n", "=5\r\ntxt:a\r\n", "!1\r\na\r\n", "%1\r\n", "~1\r\n", ">1\r\n",
    "|1\r\n",
    "*4000000\r\n" + String(repeating: "*0\r\n", count: 4), "$?\r\n",
  ]) func `what is not RESP is a fault, and stays one`(_ text: String) {
    var decoder = RESPDecoder(limits: .init(depth: 16, elements: 3, string: 100))
    decoder.append(Array(text.utf8))
    #expect(throws: RESPFault.self) { while try decoder.next() != nil {} }
    decoder.append(Array("+OK\r\n".utf8))
    #expect(throws: RESPFault.self) { try decoder.next() }
  }

  @Test func `an endless line is a fault`() {
    var decoder = RESPDecoder()
    decoder.append([UInt8](repeating: UInt8(ascii: "+"), count: 100_000))
    #expect(throws: RESPFault.self) { try decoder.next() }
  }

  @Test func `what comes behind a fault is not taken, however much was read before it`() throws {
    var decoder = RESPDecoder()
    decoder.append(Array("$70000\r\n".utf8) + [UInt8](repeating: 97, count: 70_000) + Array("\r\nx\r\n".utf8))
    #expect(try decoder.next() == .bulkString([UInt8](repeating: 97, count: 70_000)))
    #expect(throws: RESPFault.self) { try decoder.next() }
    decoder.append(Array("+OK\r\n".utf8))
    #expect(throws: RESPFault.self) { try decoder.next() }
  }

  @Test func `a string that is too long is passed over, and what stands around it is read`() throws {
    let text = "*3\r\n$2\r\nab\r\n$20\r\n\(String(repeating: "x\r\n", count: 6))xx\r\n$1\r\nc\r\n+OK\r\n"
    let expected = RESPValue.array([.bulkString([97, 98]), .oversized(20), .bulkString([99])])
    for size in [1, 3, 1000] {
      var decoder = RESPDecoder(limits: .init(depth: 16, elements: 10, string: 10))
      var values: [RESPValue] = []
      let bytes = Array(text.utf8)
      for start in stride(from: 0, to: bytes.count, by: size) {
        decoder.append(bytes[start..<min(start + size, bytes.count)])
        while let value = try decoder.next() { values.append(value) }
      }
      #expect(values == [expected, .simpleString(Array("OK".utf8))])
    }
  }

  @Test func `a string that is too long and does not end where it said is a fault`() {
    var decoder = RESPDecoder(limits: .init(depth: 16, elements: 10, string: 2))
    decoder.append(Array("$3\r\nabcd\r\n".utf8))
    #expect(throws: RESPFault.self) { try decoder.next() }
  }

  @Test func `an announced size takes no memory before it arrives`() throws {
    var decoder = RESPDecoder()
    decoder.append(Array("*4000000\r\n$60000000\r\n".utf8))
    #expect(try decoder.next() == nil)
  }

  @Test func `nothing that arrives crashes`() {
    var random = SplitMix(seed: 4)
    let all = Array(Self.examples.map(\.0).joined().utf8)
    for _ in 0..<20_000 {
      var bytes = Array(all.dropFirst(Int.random(in: 0..<all.count, using: &random)).prefix(60))
      guard !bytes.isEmpty else { continue }
      for _ in 0..<3 {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
      }
      var decoder = RESPDecoder()
      decoder.append(bytes)
      while let value = try? decoder.next() { _ = value }
    }
  }

  @Test func `a command is an array of strings`() {
    var bytes: [UInt8] = []
    RESPCommand("ZADD", "key", .init(1_795_459_852.0636294), .init([0, 13, 10])).append(to: &bytes)
    let head = "*4\r\n$4\r\nZADD\r\n$3\r\nkey\r\n$18\r\n1795459852.0636294\r\n$3\r\n"
    #expect(bytes == Array(head.utf8) + [0, 13, 10, 13, 10])
  }
}

extension RESPDecoder.Limits {
  fileprivate init(depth: Int, elements: Int, string: Int) {
    self.init()
    self.depth = depth
    self.elements = elements
    self.string = string
  }
}

extension RESPDecoder {
  /// All values that are complete.
  fileprivate mutating func rest() throws -> [RESPValue] {
    var values: [RESPValue] = []
    while let value = try next() { values.append(value) }
    return values
  }
}
