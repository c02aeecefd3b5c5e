import Bytes
import Testing
import WebSocketCore

@testable import Sessions

struct HandshakeRefusalTests {
  static let all: [(Refusal, Int)] = [
    (.badRequest("why"), 400), (.badPath, 400), (.ambiguousPath, 400), (.mergedSlashes, 400),
    (.speaksTLS, 400), (.httpVersion, 400), (.unsupportedHTTP, 400), (.unknownMethod, 501), (.connect, 501),
    (.headTooLong, 431), (.timeout, 408),
    (.notAWebSocket, 426), (.methodNotGET, 400), (.badConnectionHeader, 400), (.badKey, 400),
    (.unsupportedVersion, 426), (.badSubprotocol, 400), (.noRoute, 404), (.severalOrigins, 400),
    (.originNotAllowed, 403), (.originMissing, 403), (.tooManyConnections, 503), (.stopping, 503),
  ]

  @Test(arguments: all)
  func `a refusal has its status, says why and ends the connection`(_ row: (Refusal, Int)) {
    let refusal = HandshakeRefusal(row.0)
    #expect(refusal.status == row.1)
    let answer = String(decoding: refusal.response(), as: UTF8.self)
    #expect(answer.hasPrefix("HTTP/1.1 \(row.1) "))
    #expect(answer.contains("\r\nConnection: close"))
    #expect(answer.contains("\r\nContent-Length: \(refusal.text.utf8.count + 1)\r\n"))
    #expect(answer.hasSuffix("\r\n\r\n\(refusal.text)\n"))
  }

  @Test func `every refusal is answered by a head that clients can read`() {
    for reason in Refusal.all {
      let refusal = HandshakeRefusal(reason)
      let answer = refusal.response()
      guard case .complete(let head, let length) = ResponseHead.parse(answer.rawBytes) else {
        Issue.record("\(answer)")
        continue
      }
      #expect(head.status == refusal.status && length <= answer.count, "\(reason)")
    }
  }

  @Test func `an origin that is missing is another refusal than one that is not allowed`() {
    let texts = [Refusal.originNotAllowed, .originMissing].map { HandshakeRefusal($0).text }
    #expect(
      texts == [
        "Pages of this origin are not allowed here.",
        "The request has no Origin header, and this path requires one.",
      ])
  }

  @Test func `a refusal for want of room says when to try again`() {
    for (reason, seconds) in [(Refusal.tooManyConnections, 5), (.stopping, 1)] {
      let answer = String(decoding: HandshakeRefusal(reason).response(), as: UTF8.self)
      #expect(answer.contains("\r\nRetry-After: \(seconds)\r\n"))
    }
  }

  @Test func `a refusal for another version names ours`() {
    #expect(
      String(decoding: HandshakeRefusal(.unsupportedVersion).response(), as: UTF8.self)
        == "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        + "Content-Type: text/plain; charset=utf-8\r\nConnection: close, Upgrade\r\nContent-Length: 56\r\n\r\n"
        + "Only version 13 of the WebSocket protocol is supported.\n")
  }

  @Test func `a refusal is a complete answer`() {
    #expect(
      String(decoding: HandshakeRefusal(.noRoute).response(), as: UTF8.self)
        == "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
        + "Content-Length: 31\r\n\r\nThere is nothing at this path.\n")
    let upgrade = String(decoding: HandshakeRefusal(.notAWebSocket).response(), as: UTF8.self)
    #expect(upgrade.contains("\r\nUpgrade: websocket\r\n"))
    #expect(upgrade.contains("\r\nSec-WebSocket-Version: 13\r\n"))
  }

  static let faults: [(RequestFault, Int)] = [
    (.badRequest("why"), 400), (.headTooLong, 431), (.unsupportedHTTP, 400), (.httpVersion, 400),
    (.methodNotGET, 400), (.notAWebSocket, 426), (.badConnectionHeader, 400), (.unsupportedVersion, 426),
    (.badKey, 400), (.severalOrigins, 400), (.badSubprotocol, 400), (.badExtensions, 400),
  ]

  @Test(arguments: faults)
  func `what is wrong with a head or a handshake has its status`(_ row: (RequestFault, Int)) {
    #expect(HandshakeRefusal(Refusal(row.0)).status == row.1)
  }

  @Test func `the fault of a head is told`() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n"
    guard case .malformed(let fault) = unsafe RequestHead.parse(Array(text.utf8).span.bytes) else {
      Issue.record("not malformed")
      return
    }
    #expect(
      HandshakeRefusal(Refusal(fault)).text == "The request is malformed: a line begins with white space.")
  }

  @Test func `an upstream's own refusal is passed on as it is`() {
    let refusal = HandshakeRefusal(
      .refusedByUpstream.answering(
        418, [HeaderField(name: "content-type", value: "text/html")], body: Array("<b>".utf8)))
    #expect(
      String(decoding: refusal.response(), as: UTF8.self)
        == "HTTP/1.1 418 I'm a teapot\r\ncontent-type: text/html\r\nConnection: close\r\nContent-Length: 3\r\n\r\n<b>"
    )
  }
}
