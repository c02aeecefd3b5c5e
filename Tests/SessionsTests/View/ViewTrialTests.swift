import GatewayConfig
import Routing
import Testing
import WebSocketCore

@testable import Sessions

struct ViewTrialTests {
  private func view(_ secrets: [String], _ wire: ViewConfiguration.Wire = .json) -> ViewConfiguration {
    var view = ViewConfiguration(question: .view(), secrets: secrets.map { Secret($0) })
    view.wire = wire
    return view
  }

  private func trial(_ view: ViewConfiguration) -> ViewTrial? {
    ViewTrial(view, route: "rpc/", captures: Captures(), host: "site.example")
  }

  @Test func `a forged question has the form of a signed one, and no signature that fits`() throws {
    let secret = "a secret of the tests"
    let forged = try #require(trial(view([secret]))?.forgedRequest)
    let field = { (name: String) in forged.fields.first { $0.name == name }?.value }
    let time = try #require(field("X-Sluice-Time").flatMap { Int64($0) })
    let fitting = ViewSignature([Secret(secret)]).value(
      time: time, id: try #require(field("X-Sluice-Id")), target: forged.target, body: forged.body)
    let given = try #require(field("X-Sluice-Signature"))
    #expect(given.hasPrefix("v1=") && given.utf8.count == fitting?.utf8.count && given != fitting)
    #expect(field("Host") == "site.example")
  }

  @Test func `a view that answers a forged question as if it were signed is warned of`() {
    for status in [200, 204, 299] {
      #expect(ViewTrial.fault(ofAnswerToForged: status)?.isWarning == true)
    }
    for status in [302, 400, 401, 403, 404, 500, 503] {
      #expect(ViewTrial.fault(ofAnswerToForged: status) == nil)
    }
  }

  @Test func `no signature is missed where none is wanted`() {
    #expect(trial(view([]))?.forgedRequest == nil)
  }

  @Test func `a view of WebSocket-over-HTTP is not asked without a session`() {
    #expect(trial(view(["s3cret"], .webSocketOverHTTP)) == nil)
    #expect(trial(view(["s3cret"])) != nil)
  }
}
