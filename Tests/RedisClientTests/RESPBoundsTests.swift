import TestSupport
import Testing

@testable import RedisClient

/// What a hostile or broken Redis may send.
struct RESPBoundsTests {
  private static func reply(_ depth: Int) -> [UInt8] {
    Array((String(repeating: "*1\r\n", count: depth) + ":1\r\n").utf8)
  }

  @Test func `the deepest reply is read, compared and freed on half of a reactor's stack`() {
    let isEqual = SmallStack.run { () -> Bool in
      func read() -> RESPValue? {
        var decoder = RESPDecoder()
        decoder.append(Self.reply(16))
        return try? decoder.next()
      }
      return read() != nil && read() == read()
    }
    #expect(isEqual == true)
    let isRefused = SmallStack.run { () -> Bool in
      var decoder = RESPDecoder()
      decoder.append(Self.reply(100_000))
      do throws(RESPFault) {
        _ = try decoder.next()
        return false
      } catch {
        return true
      }
    }
    #expect(isRefused == true)
  }

  @Test func `a long string for which there is no room is passed over, and what follows it is read`() throws {
    var limits = RESPDecoder.Limits()
    limits.held = 200_000
    var decoder = RESPDecoder(limits: limits)
    let string = "$100000\r\n" + String(repeating: "x", count: 100_000) + "\r\n"
    decoder.append(Array("*4\r\n\(string)\(string)$2\r\nok\r\n:1\r\n".utf8))
    guard case .array(let parts)? = try decoder.next() else { return #expect(Bool(false)) }
    #expect(Array(parts[1...]) == [.oversized(100_000), .bulkString(Array("ok".utf8)), .integer(1)])
    decoder.release()
    decoder.append(Array(string.utf8))
    #expect(try decoder.next() == .bulkString(Array(repeating: UInt8(ascii: "x"), count: 100_000)))
  }

  @Test(arguments: [
    "*1000000\r\n" + String(repeating: ":1\r\n", count: 4000),
    String(repeating: ":1\r\n", count: 4000),
    "*1000000\r\n" + String(repeating: "$30\r\n" + String(repeating: "x", count: 30) + "\r\n", count: 4000),
    "|1000\r\n" + String(repeating: "+a\r\n", count: 4000),
    "*1000000\r\n" + String(repeating: "+\(String(repeating: "x", count: 3000))\r\n", count: 100),
  ]) func `more than is held at a time is a fault, whatever it is made of`(_ text: String) {
    var limits = RESPDecoder.Limits()
    limits.held = 100_000
    var decoder = RESPDecoder(limits: limits)
    decoder.append(Array(text.utf8))
    #expect(throws: RESPFault.self) { while try decoder.next() != nil {} }
  }
}
