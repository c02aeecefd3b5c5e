import ChannelLayers
import GatewayConfig
import JSON
import RedisClient
import TestSupport
import Testing

@testable import RedisLayers

/// What a hostile or broken Redis may make a process do.
struct RedisBoundsTests {
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
