import HTTPTypes
import Hummingbird
import NIOHTTP1
import Testing

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
    let response = Response(row.0)
    #expect(response.status == row.1)
    #expect(Self.line(response.status) == Self.line(row.1))
    var fields: HTTPFields = [.contentType: "text/plain; charset=utf-8", .cacheControl: "no-store"]
    fields.append(contentsOf: row.2)
    fields[.contentLength] = "\(row.0.text.utf8.count + 1)"
    #expect(response.headers == fields)
  }
}
