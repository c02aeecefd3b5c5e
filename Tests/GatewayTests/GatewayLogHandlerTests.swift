import Bytes
import Foundation
import GatewayConfig
import GatewayTestSupport
import Logging
import Synchronization
import Testing
import Transport

@testable import Gateway
@testable import Sessions

/// What is written for one event.
private func line(
  _ format: LoggingConfiguration.Format, _ message: String, _ fields: [String: String] = [:]
) -> String {
  let lines = WrittenLines(format)
  lines.log.info("\(message)", metadata: fields.mapValues { .string($0) })
  return lines.all.first ?? ""
}

private func object(_ line: String) throws -> [String: String] {
  let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
  return object.mapValues { "\($0)" }
}

struct GatewayLogHandlerTests {
  @Test func `a text line has its time, level, message and fields`() {
    let line = line(.text, "refused", ["peer": "10.0.0.7:1", "path": "/a b", "status": "404", "empty": ""])
    #expect(line.hasSuffix(#"Z INFO refused empty="" path="/a b" peer=10.0.0.7:1 status=404"#))
  }

  static let hostile = [
    "\u{0}", "\u{1b}[2J", "\r\n", "\u{7f}", "\u{85}", "\u{9b}31m", "\u{2028}", "\u{2029}", "\u{202e}",
    "\u{feff}", "\t",
    "\u{e0041}", "a\"b\\c",
  ]

  @Test(arguments: hostile)
  func `foreign text cannot end a line, forge one or hide in one`(_ text: String) throws {
    for format in LoggingConfiguration.Format.allCases {
      let line = line(format, "before \(text) behind", ["field": "before \(text) behind"])
      #expect(line.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control })
      #expect(line.unicodeScalars.allSatisfy { $0.properties.generalCategory != .format })
      #expect(!line.contains("\u{2028}") && !line.contains("\u{2029}"))
      guard format == .json else { continue }
      // What is read from it is what was given.
      let object = try object(line)
      #expect(object["field"] == "before \(text) behind")
      #expect(object["message"] == "before \(text) behind")
    }
  }

  @Test(arguments: [
    ("bye\u{2800}user=admin", #""bye\u2800user=admin""#), ("a=b", #""a=b""#), ("a\u{3164}b", #""a\u3164b""#),
    ("a\u{34f}b", #""a\u034fb""#), ("a\u{e000}b", #""a\ue000b""#), ("a\u{378}b", #""a\u0378b""#),
    ("a\u{a0}b", "\"a\u{a0}b\""), ("a\u{2d33}", "a\u{2d33}"), ("\u{2192}", "\"\u{2192}\""),
    ("käse-7/å日本", "käse-7/å日本"),
  ])
  func `a value without quotes is plain words`(_ value: String, _ written: String) {
    #expect(line(.text, "said", ["reason": value]).hasSuffix(" reason=" + written))
  }

  @Test func `bytes that are no text are shown as bytes`() throws {
    let text = OpaqueText.text([0x61, 0xFF, 0xFE, 0x80])
    #expect(line(.text, "said", ["origin": text]).hasSuffix(#" origin="a\xff\xfe\x80""#))
    #expect(line(.text, "said \(text)").hasSuffix(#" said a\xff\xfe\x80"#))
    #expect(try object(line(.json, "said", ["origin": text]))["origin"] == #"a\xff\xfe\x80"#)
  }

  @Test func `a text value with a quotation mark, a backslash or a space can be read back`() throws {
    let line = line(.text, "said", ["value": #"a" forged="yes\"#])
    #expect(line.hasSuffix(#" value="a\" forged=\"yes\\""#))
  }

  @Test(arguments: LoggingConfiguration.Format.allCases)
  func `a line has a bound, however much is told`(_ format: LoggingConfiguration.Format) throws {
    let long = String(repeating: "a\u{1b}é", count: 2000)
    for count in [1, 5, 12, 200] {
      let fields = Dictionary(uniqueKeysWithValues: (0..<count).map { ("key\($0)", long) })
      let line = line(format, long, fields)
      #expect(line.utf8.count < GatewayLogHandler.mostBytes)
      if format == .json { #expect(try object(line)["level"] == "info") }
      if count <= 12 { #expect(line.contains("key0") && line.contains("…")) }
    }
  }

  @Test func `a number is a number, and a name that looks like one is none`() {
    let fields = [
      "status": "404", "seconds": "0.250", "count": "0", "user": "42", "suppressed": "007", "code": "1e3",
    ]
    let expected =
      #""message":"here","code":"1e3","count":0,"seconds":0.250,"status":404,"suppressed":"007","user":"42"}"#
    #expect(line(.json, "here", fields).hasSuffix(expected))
  }

  @Test func `a value that is said to be a number is one, whatever its name`() {
    let lines = WrittenLines(.json)
    lines.log.info(
      "here",
      metadata: ["let_go": .number(7), "below": .number(-1), "wide": .number(UInt64.max), "text": "7"])
    let expected = #""message":"here","below":-1,"let_go":7,"text":"7","wide":"18446744073709551615"}"#
    #expect(lines.all.first?.hasSuffix(expected) == true)
  }

  @Test func `no name stands twice in an object`() throws {
    #expect(try object(line(.json, "here", ["message": "other", "x": "1"]))["message"] == "here")
  }

  @Test func `the log says how many lines it lost`() throws {
    var ends: [Int32] = [0, 0]
    try #require(unsafe pipe(&ends) == 0)
    let writer = try LineWriter(forLogIn: .json, to: ends[1])
    let text = String(repeating: "x", count: 1000)
    // The pipe holds 64 KiB, the queue a MiB.
    for _ in 0..<2000 { writer.write(text) }
    let reading = ends[0]
    let last = Mutex("")
    let reader = Thread {
      let data = FileHandle(fileDescriptor: reading).readDataToEndOfFile()
      last.withLock {
        $0 = String(decoding: data, as: UTF8.self).split(separator: "\n").last.map(String.init) ?? ""
      }
    }
    reader.start()
    writer.finish(within: .seconds(20))
    close(ends[1])
    while !reader.isFinished { usleep(1000) }
    let object = try object(last.withLock(\.self))
    let dropped = try #require(object["dropped"])
    #expect(object["message"] == "\(dropped) log lines were dropped: the reader of the log is too slow")
    #expect(object["level"] == "warning")
    close(reading)
  }
}
