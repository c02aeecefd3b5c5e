import Bytes
import ChannelLayers
import Consumers
import GatewayConfig
import JSON
import LayerTestSupport
import TestSupport
import Testing

@testable import Sessions

/// Whatever answers make of a record can be read back by another process.
struct ViewRecordTests {
  private let route: SessionRoute

  init() throws {
    let served = try ConfigurationLoader.configuration(
      of: """
        installed_apps: [view]
        channel_layers: {default: {backend: memory}}
        applications:
          main:
            websocket:
              - {name: rpc/, path: rpc/, consumer: view, url: "http://127.0.0.1:1/rpc/", secret: \(String(repeating: "k", count: 64))}
        """)
    route = SessionRoute(try #require(served.served.webSocketRoutes.first), ServedLayers([]), log: .quiet)
  }

  @Test func `claims of another user than the view names are dropped`() {
    var record = ViewRecord.sample()
    record.identify(as: nil, claims: ["level": "3"])
    #expect(record.claims == ["role": "admin", "level": "3"])
    record.identify(as: "anna", claims: nil)
    #expect(record.user == "anna" && record.claims == ["role": "admin", "level": "3"])
    record.identify(as: "ben", claims: ["name": "Ben"])
    #expect(record.user == "ben" && record.claims == ["name": "Ben"])
    record.identify(as: "cleo", claims: nil)
    #expect(record.user == "cleo" && record.claims == nil)
  }

  private func answer(_ text: String, to question: ViewQuestion = .connect) throws(AnswerFault) -> ViewAnswer
  {
    try JSONViewAnswer(to: question).read(Array(text.utf8))
  }

  /// The record that comes back in place of this one.
  private func found(_ record: ViewRecord) throws -> ViewRecord {
    let taken = TakenRecord(
      place: .init(lot: "l", address: record.address), kind: route.recordKind,
      content: OpenRecord(record: record).encoded(), lastSign: nil)
    return try FoundRecord(taken, on: route).record
  }

  private static let most = ViewAnswer.longestClaims

  @Test func `claims have at most 16 KiB`() throws {
    let frame = #"{"a":""}"#.utf8.count
    func text(_ length: Int) -> String {
      #"{"claims": {"a":"\#(String(repeating: "x", count: length - frame))"}}"#
    }
    #expect(try answer(text(Self.most)).claims?.bytes.count == Self.most)
    let fault = #expect(throws: AnswerFault.self) { try answer(text(Self.most + 1)) }
    #expect(fault?.reason == "\"claims\" in the answer has 16385 bytes, and at most 16384 are possible")
  }

  /// A callback has told of as many as it can, before.
  @Test(arguments: [
    #"{"a": [\#([String](repeating: "0", count: 8000).joined(separator: ","))]}"#,
    #"{"a": "\#(String(repeating: "\\u0000", count: 2700))"}"#,
    String(repeating: #"{"a":"#, count: 62) + "1" + String(repeating: "}", count: 62),
  ])
  func `the largest claims come back`(_ claims: String) throws {
    var record = ViewRecord.anonymous()
    let answered = try #require(try answer(#"{"claims": \#(claims)}"#).claims)
    let earlier: JSON = try .object([.init(key: "b", value: .parse(Array(claims.utf8).rawBytes))])
    record.claims = earlier.merging(answered)
    record.state = Array((#""\#(String(repeating: "\\u0000", count: 682))""#).utf8)
    record.groups = (0..<300).map { "\($0)" + String(repeating: "g", count: 90) }
    #expect(try found(record) == record)
  }

  @Test(arguments: 0..<10)
  func `whatever is admitted comes back`(_ seed: UInt64) throws {
    var random = SplitMix(seed: seed)
    for _ in 0..<10 {
      var values = Int.random(in: 1...4000, using: &random)
      let claims = JSON.object([
        .init(key: text(&random), value: value(&random, depth: 0, &values)),
        .init(
          key: "all", value: .array((0..<max(values, 0)).map { _ in value(&random, depth: 62, &values) })),
      ])
      guard let admitted = try? answer(#"{"claims": \#(String(decoding: claims.bytes, as: UTF8.self))}"#)
      else {
        continue
      }
      var record = ViewRecord.anonymous()
      record.claims = admitted.claims
      record.state = admitted.claims.flatMap { $0.bytes.count <= ViewRecord.longestState ? $0.bytes : nil }
      #expect(try found(record) == record)
    }
  }

  private func text(_ random: inout SplitMix) -> String {
    String(
      String.UnicodeScalarView(
        (0..<Int.random(in: 0...6, using: &random)).map { _ in
          Unicode.Scalar(UInt32.random(in: 0...0x2FFF, using: &random)) ?? "x"
        }))
  }

  private func value(_ random: inout SplitMix, depth: Int, _ left: inout Int) -> JSON {
    left -= 1
    switch Int.random(in: 0...(depth < 62 && left > 0 ? 7 : 4), using: &random) {
    case 0: return .null
    case 1: return .bool(Bool.random(using: &random))
    case 2: return .integer(Int64.random(in: .min ... .max, using: &random))
    case 3: return .double(Double(bitPattern: UInt64.random(in: 0...(0x7FE << 52), using: &random)))
    case 4: return .string(text(&random))
    case 5: return .object([.init(key: text(&random), value: value(&random, depth: depth + 1, &left))])
    default:
      return .array(
        (0..<Int.random(in: 0...3, using: &random)).map { _ in value(&random, depth: depth + 1, &left) })
    }
  }
}
