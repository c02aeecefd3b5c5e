import GatewayConfig
import Testing
import WebSocketCore

@testable import Sessions

struct JSONWireTests {
  private static let attempt = ViewAttempt(number: 1, made: 1_700_000_001.5, time: 1_700_000_003)

  private func wire(_ secrets: [String] = ["s3cret"]) -> JSONWire {
    JSONWire(ViewConfiguration(question: .view(), secrets: secrets.map { Secret(bytes: Array($0.utf8)) }))
  }

  @Test func `a question is a POST about one client, signed`() {
    let question = ViewQuestion.asking(
      .connect(.init(fields: [HeaderField(name: "cookie", value: "sessionid=1")]), isAgain: false))
    let request = wire().request(for: question, Self.attempt)
    #expect(request.target == "/ws/chat/7/?a=1")
    #expect(
      request.fields.dropLast() == [
        HeaderField(name: "Host", value: "site.example"),
        HeaderField(name: "Content-Type", value: "application/json"),
        HeaderField(name: "Accept", value: "application/json"),
        HeaderField(name: "cookie", value: "sessionid=1"),
        HeaderField(name: "X-Forwarded-For", value: "192.0.2.7"),
        HeaderField(name: "X-Forwarded-Proto", value: "https"),
        HeaderField(name: "X-Forwarded-Host", value: "site.example"),
        HeaderField(name: "X-Sluice-Version", value: "1"),
        HeaderField(name: "X-Sluice-Id", value: "f00d-1"),
        HeaderField(name: "X-Sluice-Time", value: "1700000003"),
      ])
    #expect(request.fields.last?.name == "X-Sluice-Signature")
  }

  @Test
  func `without a session the host is the upstream's, and of a client only that it needs no way to https`() {
    let names = wire([]).request(for: .check, Self.attempt).fields.map(\.name)
    #expect(
      names == [
        "Host", "Content-Type", "Accept", "X-Forwarded-Proto", "X-Sluice-Version", "X-Sluice-Id",
        "X-Sluice-Time",
      ])
    #expect(wire().request(for: .check, Self.attempt).fields[0].value == "127.0.0.1:8001")
  }

  // python3 -c 'import hmac; print(hmac.new(b"s3cret", b"1\n1700000003\nf00d-1\nPOST\n/x/?a=1\n{}", "sha256").hexdigest())'
  @Test func `the signature is HMAC-SHA256 over version, time, id, method, target and body`() {
    let value = { (secrets: [String]) in
      ViewSignature(secrets.map { Secret(bytes: Array($0.utf8)) }).value(
        time: 1_700_000_003, id: "f00d-1", target: "/x/?a=1", body: Array("{}".utf8))
    }
    #expect(value([]) == nil)
    #expect(value(["s3cret"]) == "v1=5886289aaf5a2a21f3660da0c96066fbc6a10f9cb60bb8a3374f150fe5713f32")
    #expect(
      value(["s3cret", "old"])
        == "v1=5886289aaf5a2a21f3660da0c96066fbc6a10f9cb60bb8a3374f150fe5713f32, v1=19c6ae533518194881287113ff28a7d606c45e830aed56d0c2d9150b5f958f69"
    )
    // The key is prepared once, and used again.
    let signature = ViewSignature([Secret(bytes: Array("s3cret".utf8))])
    let first = signature.value(time: 1, id: "a", target: "/", body: [])
    #expect(first == signature.value(time: 1, id: "a", target: "/", body: []))
    #expect(first != signature.value(time: 2, id: "a", target: "/", body: []))
  }

  private func answer(_ status: Int, _ type: String?, _ body: String?) -> UpstreamFetcher.Answer {
    UpstreamFetcher.Answer(
      status: status, fields: type.map { [HeaderField(name: "content-type", value: $0)] } ?? [],
      body: body.map { Array($0.utf8) })
  }

  @Test func `204 and JSON are answers`() throws {
    #expect(try wire().answer(in: answer(204, nil, ""), to: .receive) == ViewAnswer())
    #expect(
      try wire().answer(in: answer(200, "application/json; charset=utf-8", #"{"taken": 1}"#), to: .receive)
        .taken == 1)
  }

  private static let unusable: [(Int, String?, String?, String)] = [
    (200, "text/html", "<p>", "the server answered 200 with text/html, and not with JSON"),
    (200, nil, "", "the server answered 200 with no type, and not with JSON"),
    (200, "application/json", nil, "the answer is longer than 1024 KiB"),
    (201, "application/json", "{}", "the server answered 201"),
  ]

  @Test(arguments: unusable)
  func `others are not`(_ status: Int, _ type: String?, _ body: String?, _ reason: String) {
    let fault = #expect(throws: AnswerFault.self) {
      try wire().answer(in: answer(status, type, body), to: .receive)
    }
    #expect(fault?.reason == reason)
  }
}
