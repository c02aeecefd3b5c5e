import GatewayConfig
import GatewayTestSupport
import HTTPTypes
import Hummingbird
import Logging
import NIOHTTP1
import Testing
import Transport
import WebSocketCore

@testable import Gateway
@testable import Sessions

struct RefusalResponseTests {
  static let answers: [(Refusal, HTTPResponse.Status, HTTPFields)] = [
    (.onlyRead, .methodNotAllowed, [.allow: "GET, HEAD"]),
    (.onlyGET, .methodNotAllowed, [.allow: "GET, HEAD, OPTIONS"]),
    (.bodyTooLarge, .contentTooLarge, [:]), (.noSuchRange, .rangeNotSatisfiable, [:]),
    (.otherFile, .preconditionFailed, [:]), (.unreadableFile, .internalServerError, [:]),
    (.onlyWebSocket, .upgradeRequired, [.upgrade: "websocket", .connection: "Upgrade"]),
    (.noMemory, .serviceUnavailable, [.retryAfter: "5"]),
    (.upstreamBusy, .serviceUnavailable, [.retryAfter: "5"]),
    (.upstreamTimeout, .gatewayTimeout, [:]), (.upstreamUnreachable, .badGateway, [:]),
    (.addressOverLimit(retryAfter: 7), .tooManyRequests, [.retryAfter: "7"]),
  ]

  /// The status with the phrase that NIO writes for it.
  private static func line(_ status: HTTPResponse.Status) -> HTTPResponseStatus {
    HTTPResponseStatus(statusCode: status.code, reasonPhrase: status.reasonPhrase)
  }

  @Test(arguments: answers)
  func `the HTTP side answers with the status, the text and the fields`(
    _ row: (Refusal, HTTPResponse.Status, HTTPFields)
  ) {
    let response = Response(HTTPAnswer(row.0))
    #expect(response.status == row.1)
    #expect(Self.line(response.status) == Self.line(row.1))
    var fields: HTTPFields = [.contentType: "text/plain; charset=utf-8", .cacheControl: "no-store"]
    fields.append(contentsOf: row.2)
    fields[.contentLength] = "\(row.0.text.utf8.count + 1)"
    #expect(response.headers == fields)
  }

  @Test func `a refusal of the HTTP side is a line at the level of its row, or none`() {
    for row in Refusal.all {
      let lines = WrittenLines(.text)
      HTTPRefusals(log: lines.log).record(row, target: Array("/x".utf8), peer: .unix)
      let level = row.hasOwnLine ? nil : row.level
      #expect(lines.all.count == (level == nil ? 0 : 1), "\(row)")
      guard let line = lines.all.first, let level else { continue }
      #expect(line.contains(" \(level.rawValue.uppercased()) refused path=/x peer=unix reason="))
      #expect(line.hasSuffix(" status=\(row.answerStatus)"))
    }
  }

  @Test func `a refusal of the publish API is a row, with the sentence and the fields of the request`() {
    let busy = PublishRefusal.busy("the channel layer is not available")
    #expect(busy.row.status == 503)
    #expect(busy.answer.fields.contains(HeaderField(name: "Retry-After", value: "1")))
    #expect(
      String(decoding: busy.answer.body, as: UTF8.self)
        == "{\"error\":\"the channel layer is not available\"}\n")
    #expect(busy.row.level == .info && busy.row.reconnecting == .later)
    let allow = HeaderField(name: "Allow", value: "POST")
    let method = PublishRefusal(.publishMethod, "use POST", fields: [allow])
    #expect(method.answer.fields.last == allow && method.answer.status == 405)
    #expect(PublishRefusal(malformed: "it is empty").row.text == "it is empty")
  }
}
