import ChannelLayers
import JSON
import LayerTestSupport
import TestSupport
import Testing

@testable import GatewayConfig
@testable import RedisLayers

/// Bodies as channels_redis 4.3.0 wrote them.
struct MessageCodecTests {
  private let codec = MessageCodec(format: .msgpack, keys: [])
  private let json = MessageCodec(format: .json, keys: [])

  private func encode(_ codec: MessageCodec, _ event: Event, _ targets: [String]? = nil) throws -> [UInt8] {
    codec.body(try codec.encode(event), targets: targets, now: 0)
  }

  private func decode(_ codec: MessageCodec, _ body: [UInt8]) throws -> IncomingMessage {
    try codec.decode(body, maximumAge: nil, now: 0)
  }

  @Test func `a message for a plain channel`() throws {
    let body = hex("82 a474797065 a867656e6572617465 a26964 ce075bcd15")
    let event = Event(type: "generate", fields: [.init("id", .json(.integer(123_456_789)))])
    #expect(try decode(codec, body) == IncomingMessage(event: event, targets: nil))
    #expect(try encode(codec, event) == body)
  }

  @Test func `a message for one specific channel`() throws {
    let channel =
      "specific.5f8790c92e16461386784c278e156fd4!580c4d25936548d7bba2b9811c7e9839"
    let body =
      hex(
        "83 a474797065 ac636861742e6d657373616765 a474657874 a26869 b05f5f617367695f6368616e6e656c5f5f d94a")
      + Array(channel.utf8)
    let event = Event(type: "chat.message", fields: [.init("text", .json(.string("hi")))])
    #expect(try decode(codec, body) == IncomingMessage(event: event, targets: [channel]))
    #expect(body.count == 120)
  }

  @Test func `a message for a group names all channels behind the queue`() throws {
    let body = hex(
      """
      83 a474797065 ac636861742e6d657373616765 a76d657373616765 a866726f6d20445246
      b05f5f617367695f6368616e6e656c5f5f 91 b5 73706563696669632e67772d376633613963216731
      """)
    let event = Event(type: "chat.message", fields: [.init("message", .json(.string("from DRF")))])
    let targets = ["specific.gw-7f3a9c!g1"]
    #expect(try decode(codec, body) == IncomingMessage(event: event, targets: targets))
    #expect(try encode(codec, event, targets) == body)
  }

  @Test func `JSON is what Python reads and writes`() throws {
    let event = Event(
      type: "chat.message",
      fields: [.init("message", .encodedJSON(Array(#"{"a": "é"}"#.utf8))), .init("n", .json(.double(1.5)))])
    let text =
      #"{"type": "chat.message", "message": {"a": "é"}, "n": 1.5, "__asgi_channel__": ["x!1","y!2"]}"#
    #expect(try encode(json, event, ["x!1", "y!2"]) == Array(text.utf8))
    let python = #"{"type": "chat.message", "message": "\u00e9\ud83d\ude00", "__asgi_channel__": "x!1"}"#
    #expect(
      try decode(json, Array(python.utf8))
        == IncomingMessage(
          event: Event(type: "chat.message", fields: [.init("message", .json(.string("é😀")))]),
          targets: ["x!1"]))
    #expect(throws: CodecFault.self) { try decode(json, Array(#"{"type": "a", "n": NaN}"#.utf8)) }
    #expect(throws: CodecFault.notSerializable("JSON cannot carry bytes")) {
      try json.encode(Event(type: "a", fields: [.init("b", .bytes([1]))]))
    }
  }

  /// The value of `x` in the map `{"type": "t", "x": …}`.
  private func value(_ bytes: String) throws -> EventValue? {
    try decode(codec, hex("82 a474797065 a174 a178" + bytes)).event["x"]
  }

  @Test(arguments: [
    ("00", JSON.integer(0)), ("7f", .integer(127)), ("ff", .integer(-1)), ("e0", .integer(-32)),
    ("ccff", .integer(255)), ("cdffff", .integer(65535)), ("ceffffffff", .integer(4_294_967_295)),
    ("cf7fffffffffffffff", .integer(.max)), ("cfffffffffffffffff", .unsigned(.max)),
    ("d080", .integer(-128)), ("d18000", .integer(-32768)), ("d280000000", .integer(-2_147_483_648)),
    ("d38000000000000000", .integer(.min)), ("c0", .null), ("c2", .bool(false)), ("c3", .bool(true)),
    ("cb3ff8000000000000", .double(1.5)), ("ca3fc00000", .double(1.5)), ("a0", .string("")),
    ("d90161", .string("a")), ("da000161", .string("a")), ("db0000000161", .string("a")),
    ("920102", .array([.integer(1), .integer(2)])), ("dc000101", .array([.integer(1)])),
    ("dd0000000101", .array([.integer(1)])), ("81a16101", .object([.init(key: "a", value: .integer(1))])),
    ("de0001a16101", .object([.init(key: "a", value: .integer(1))])),
    ("82a16101a16102", .object([.init(key: "a", value: .integer(2))])),
    ("91c403010203", .array([.string("AQID")])),
  ]) func `every form of a value is read`(_ bytes: String, _ expected: JSON) throws {
    #expect(try value(bytes) == .json(expected))
  }

  @Test func `keys that only look the same are two`() throws {
    // "é" in one code point and in two, at the top and inside.
    let keys = "a2c3a9 01 a365cc81 02"
    let event = try decode(codec, hex("84 a474797065 a174 \(keys) a178 82 \(keys)")).event
    #expect(event.fields.map(\.name).map { Array($0.utf8) } == [[0xC3, 0xA9], [0x65, 0xCC, 0x81], [0x78]])
    guard case .json(.object(let members))? = event["x"] else { throw CodecFault.missingType }
    #expect(members.map(\.value) == [.integer(1), .integer(2)])
  }

  @Test func `a type of too many combining marks is told from one that is missing`() {
    let type = "a" + String(repeating: "\u{301}", count: 40)
    #expect(throws: CodecFault.malformed("its type has too many combining marks in a row")) {
      try decode(json, Array(#"{"type": "\#(type)"}"#.utf8))
    }
    #expect(throws: CodecFault.missingType) { try decode(json, Array(#"{"type": ""}"#.utf8)) }
  }

  @Test func `bytes at the top stay bytes`() throws {
    #expect(try value("c403010203") == .bytes([1, 2, 3]))
    let event = Event(type: "t", fields: [.init("x", .bytes([1, 2, 3]))])
    #expect(try encode(codec, event) == hex("82 a474797065 a174 a178 c403010203"))
  }

  @Test(arguments: [
    "", "80", "c0", "81 a474797065 01", "81 a474797065 a0", "82 a474797065 a174 01 02",
    "82 a474797065 a174 c0 02",
    "81 a474797065 a1ff", "82 a474797065 a174 a178 d40101", "82 a474797065 a174 a178 c1",
    "81 a474797065 a174 00",
    "82 a474797065 a174", "82 a474797065 a174 a178 dbffffffff", "82 a474797065 a174 a178 ddffffffff",
    "82 a474797065 a174 a178 dfffffffff", "82 a474797065 a174 a178 cb7ff0000000000000",
    "82 a474797065 a174 b05f5f617367695f6368616e6e656c5f5f 01",
  ]) func `poison is refused`(_ bytes: String) {
    #expect(throws: CodecFault.self) { try decode(codec, hex(bytes)) }
  }

  @Test func `deep nesting is refused, and costs no stack`() {
    let deep = hex("82 a474797065 a174 a178") + [UInt8](repeating: 0x91, count: 100_000) + [0xC0]
    #expect(throws: CodecFault.self) { try decode(codec, deep) }
  }

  @Test func `numbers that no 64 bits hold are not sent`() throws {
    let large = Event(type: "t", fields: [.init("x", .encodedJSON(Array("18446744073709551615".utf8)))])
    #expect(try encode(codec, large) == hex("82 a474797065 a174 a178 cfffffffffffffffff"))
    let larger = Event(type: "t", fields: [.init("x", .encodedJSON(Array("18446744073709551616".utf8)))])
    #expect(throws: CodecFault.self) { try codec.encode(larger) }
  }

  @Test func `what is written is read again`() throws {
    var random = SplitMix(seed: 7)
    for _ in 0..<2000 {
      let event = Event(
        type: "t",
        fields: (0..<Int.random(in: 0...20, using: &random)).map { .init("f\($0)", .json(random.json(3))) })
      for codec in [codec, json, MessageCodec(format: .msgpack, keys: ["k"])] {
        #expect(
          try decode(codec, encode(codec, event, ["c!1"])) == .init(event: event, targets: ["c!1"]))
      }
    }
  }

  @Test func `nothing that arrives crashes`() {
    var random = SplitMix(seed: 8)
    let good = hex("83 a474797065 a174 a178 82a16101a162cb3ff8000000000000 a179 dc0003a0c0c3")
    for _ in 0..<50_000 {
      var bytes = good
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
      }
      _ = try? decode(codec, Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &random))))
    }
  }
}

extension SplitMix {
  fileprivate mutating func json(_ depth: Int) -> JSON {
    switch Int.random(in: 0...(depth > 0 ? 6 : 4), using: &self) {
    case 0: .null
    case 1: .bool(.random(using: &self))
    case 2: .integer(.random(in: .min ... .max, using: &self) >> Int64.random(in: 0...63, using: &self))
    case 3: .double(Double.random(in: -1e9...1e9, using: &self))
    case 4: .string(String(repeating: "aé😀\"\\\n", count: .random(in: 0...20, using: &self)))
    case 5: .array((0..<Int.random(in: 0...20, using: &self)).map { _ in json(depth - 1) })
    default:
      .object((0..<Int.random(in: 0...20, using: &self)).map { .init(key: "k\($0)", value: json(depth - 1)) })
    }
  }
}
