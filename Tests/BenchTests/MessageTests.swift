import Bytes
import Testing
import WebSocketCore

@testable import Bench

struct MessageTests {
  @Test(arguments: [0, 9, 10, 0x0123_4567, 0x89AB_CDEF, UInt32.max])
  func `eight digits are read as they were written`(_ number: UInt32) {
    #expect(Hexadecimal.decode(Hexadecimal.encode(number)) == number)
  }

  @Test func `what is no digit is not read`() {
    for text in ["0000000g", "0000000A", "       0", "0000000/"] {
      let word = text.utf8.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      #expect(Hexadecimal.decode(word) == nil, "\(text)")
    }
  }

  @Test func `a prepared frame carries its stamp, wherever the template puts it`() throws {
    for template in [nil, "{body}", "a{body}", "ab{body}!", MessageShape.json] {
      let shape = MessageShape(size: 100, template: template)
      #expect(shape.fault(isStamped: true) == nil)
      let frame = PreparedMessage(shape)
      let stamp = Stamp(run: 4095, sender: 7, sequence: 0xFEED_0001, nanoseconds: 0x0123_4567_89AB_CDEF)
      frame.write(stamp.words)
      let sink = Sink()
      var bytes: [UInt8] = []
      frame.withBytes { bytes = [UInt8](copying: $0) }
      var span = bytes.mutableSpan
      var raw = unsafe span.mutableBytes
      var decoder = MessageDecoder(maximumMessage: 1000)
      try decoder.decode(&raw, into: sink)
      let message = try #require(sink.messages.first)
      #expect(message.count == 100)
      var place = 0
      let found = unsafe Stamp.find(in: message.span.bytes, place: &place)
      #expect(found == stamp)
    }
  }

  @Test func `a prepared request carries its stamp, behind its head`() {
    let shape = MessageShape(textSize: 40, template: MessageShape.publishing(to: "a"))
    let request = PreparedMessage(shape) { Array("POST / \($0)\n".utf8) }
    let stamp = Stamp(run: 1, sender: 2, sequence: 3, nanoseconds: 4)
    request.write(stamp.words)
    var text = ""
    request.withBytes { text = $0.string }
    #expect(text.hasPrefix("POST / \(shape.size)\n{\"group\": \"a\", \"text\": \"~s"))
    #expect(text.hasSuffix("\"}"))
    #expect((shape.textSize, shape.size) == (40, 66))
    var place = 0
    #expect(Stamp.find(in: Array(text.utf8).rawBytes, place: &place) == stamp)
  }

  @Test func `a message without a stamp has none`() {
    let text = Array(#"{"error": "~s is no stamp, ~s0000000000000000000000000000"}"#.utf8)
    var place = 0
    let found = unsafe Stamp.find(in: text.span.bytes, place: &place)
    #expect(found == nil)
  }

  @Test func `shapes that cannot be are told`() {
    #expect(MessageShape(size: 31).fault(isStamped: true) != nil)
    #expect(MessageShape(size: 1).fault(isStamped: false) == nil)
    #expect(MessageShape(template: "nothing").fault(isStamped: false) != nil)
    #expect(MessageShape(size: 20, template: MessageShape.json).fault(isStamped: false) == nil)
    #expect(MessageShape(size: 14, template: MessageShape.json).fault(isStamped: false) != nil)
  }

  @Test func `the least size is told of what the size is of`() {
    let template = MessageShape.publishing(to: "a")
    for (least, shape) in [
      (32, { MessageShape(size: $0) }), (47, { MessageShape(size: $0, template: MessageShape.json) }),
      (32, { MessageShape(textSize: $0, template: template) }),
    ] as [(Int, (Int) -> MessageShape)] {
      #expect(shape(least).fault(isStamped: true) == nil)
      #expect(
        shape(least - 1).fault(isStamped: true)?.hasPrefix("--size must be at least \(least) bytes") == true)
    }
    #expect(MessageShape(textSize: 1, template: template).fault(isStamped: false) == nil)
  }
}

struct SentTimesTests {
  @Test func `times are found by number, however many there are`() {
    var times = SentTimes()
    for time in 0..<5 { times.append(UInt64(time)) }
    #expect(times.removeFirst() == 0)
    #expect(times.removeFirst() == 1)
    for time in 5..<40 { times.append(UInt64(time)) }
    #expect((times.first, times.next, times.count) == (2, 40, 38))
    #expect((2..<40).allSatisfy { times[UInt32($0)] == UInt64($0) })
  }
}

struct OrderCheckTests {
  @Test func `duplicates and late ones are found, gaps are not late`() {
    var check = OrderCheck()
    let arrivals = [0, 1, 3, 2, 2, 5, 200, 4, 199].map { check.take($0) }
    #expect(
      arrivals == [
        .inOrder, .inOrder, .inOrder, .late, .duplicate, .inOrder, .inOrder, .duplicate, .late,
      ])
  }
}

struct TargetTests {
  @Test(arguments: [
    ("ws://a", "a", 80, "/"), ("ws://a:8000/x?y=1", "a", 8000, "/x?y=1"), ("ws://[::1]:9/", "::1", 9, "/"),
    ("ws://a?q", "a", 80, "/?q"), ("wss://a/", "a", 443, "/"), ("wss://a:80/", "a", 80, "/"),
  ])
  func `an address is taken apart`(_ url: String, _ host: String, _ port: Int, _ path: String) throws {
    let target = try Target(url)
    #expect((target.host, target.port, target.requestTarget) == (host, port, path))
  }

  @Test(arguments: [
    "", "http://a/", "WS://a/", "ws://", "ws://a:0/", "ws://a:x/", "ws://::1/", "ws://a/#b", "ws://a/ b",
    "ws://[abc/", "ws://[]/", "ws://[abc]x/", "ws://a]/", "ws://a:+80/",
  ])
  func `what is no address is a failure`(_ url: String) {
    #expect(throws: BenchFailure.self) { try Target(url) }
  }
}

struct OtherTargetTests {
  @Test(arguments: [Target.Speech.publishing, .events])
  func `requests have URLs of HTTP`(_ speech: Target.Speech) throws {
    #expect(try Target("http://a/", speech).port == 80)
    let secure = try Target("https://a:8443/b", speech)
    #expect((secure.isSecure, secure.authority, secure.requestTarget) == (true, "a:8443", "/b"))
    #expect(
      throws: BenchFailure(
        "\"ws://a/\" is not a http:// or https:// URL; write http://127.0.0.1:8000/\(speech == .events ? "events/lobby/" : "api/publish/")"
      )
    ) {
      try Target("ws://a/", speech)
    }
  }

  @Test func `the usual port is not named`() throws {
    #expect(try Target("wss://a:443/").authority == "a")
    #expect(try Target("ws://a:443/").authority == "a:443")
  }
}

private final class Sink: FrameSink {
  var messages: [[UInt8]] = []

  func message(_ kind: MessageKind, _ payload: RawSpan) -> Flow {
    messages.append([UInt8](copying: payload))
    return .proceed
  }
  func ping(_ payload: RawSpan) -> Flow { .proceed }
  func pong(_ payload: RawSpan) -> Flow { .proceed }
  func close(_ code: CloseCode?, _ reason: RawSpan) -> Flow { .stop }
}
