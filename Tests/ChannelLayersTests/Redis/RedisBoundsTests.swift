import GatewayConfig
import JSON
import TestSupport
import Testing

@testable import ChannelLayers

/// What a hostile or broken Redis may make a process do.
struct RedisBoundsTests {
  // MARK: - RESP

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

  // MARK: - MessagePack

  private static func nested(_ depth: Int, _ mark: [UInt8]) -> [UInt8] {
    [0x81, 0xA1, 0x61] + (0..<depth).flatMap { _ in mark } + [0x01]
  }

  private static func read(_ bytes: [UInt8]) -> JSON? {
    var reader = MessagePackReader(bytes)
    guard case .json(let value)? = try? reader.readEvent().first?.value else { return nil }
    return value
  }

  @Test(arguments: [[0x91], [0x81, 0xA1, 0x61]] as [[UInt8]])
  func `the deepest message is read and freed on half of a reactor's stack, and a deeper one is refused`(
    _ mark: [UInt8]
  ) {
    let isEqual = SmallStack.run { () -> Bool in
      let bytes = Self.nested(MessagePackReader.deepest - 1, mark)
      return Self.read(bytes) != nil && Self.read(bytes) == Self.read(bytes)
    }
    #expect(isEqual == true)
    #expect(SmallStack.run { Self.read(Self.nested(MessagePackReader.deepest, mark)) } == .some(nil))
    #expect(SmallStack.run { Self.read(Self.nested(1 << 20, mark)) } == .some(nil))
  }

  @Test func `of a key that stands many times the last value counts, in time in proportion to the message`()
    throws
  {
    func message(_ count: Int) -> [UInt8] {
      [0xDF] + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: count >> $0) }
        + (0..<count).flatMap { number -> [UInt8] in
          let key = Array("k\(number % 1000)".utf8)
          return [0xA0 | UInt8(key.count)] + key + [UInt8(number / 1000 % 100)]
        }
    }
    func time(_ bytes: [UInt8]) throws -> Duration {
      var reader = MessagePackReader(bytes)
      return try processorTime { _ = try reader.readEvent() }
    }
    var reader = MessagePackReader(message(50_000))
    guard case .json(.integer(49))? = try reader.readEvent().last?.value else { return #expect(Bool(false)) }
    // With a thousand keys each entry used to be compared with five hundred others.
    let few = try time(message(1000))
    let many = try time(message(64_000))
    #expect(many < few * 64 * 8)
  }

  @Test func `a message of more values than any event has is refused`() {
    let count = 2_000_001
    let bytes: [UInt8] =
      [0x81, 0xA1, 0x61, 0xDD] + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: count >> $0) }
      + [UInt8](repeating: 0xC0, count: count)
    #expect(Self.read(bytes) == nil)
  }

  // MARK: - Numbers

  @Test(arguments: ["1.9007199254740993", "1.18446744073709551615"])
  func `an offset that nobody can have counted up to is no position`(_ text: String) {
    #expect(EventPosition(text) == nil)
    #expect(EventPosition("1.9007199254740992") != nil)
  }

  @Test(arguments: [
    ("sequence", "-1"), ("sequence", "9223372036854775807"), ("previous", "-9223372036854775808"),
    ("anonymous", "-1"), ("anonymous", "9223372036854775807"),
  ]) func `a message of presence with numbers that cannot be is none`(_ key: String, _ number: String) {
    func message(_ key: String, _ number: String) -> PresenceMessage? {
      let numbers = ["sequence": "2", "previous": "1", "anonymous": "3"].merging([key: number]) { $1 }
      let text =
        #"{"process":"p","kind":"change","joined":[],"left":[],"#
        + numbers.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}"
      return PresenceMessage(Array(text.utf8))
    }
    #expect(message(key, number) == nil)
    #expect(message("anonymous", "3") != nil)
  }
}
