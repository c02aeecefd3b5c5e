import GatewayTestSupport
import Logging
import Testing
import WebSocketCore

@testable import GatewayConfig
@testable import Routing
@testable import Sessions

struct UpstreamFailuresTests {
  private let upstream = UpstreamConfiguration(
    scheme: .http, host: "10.0.0.7", port: 80, path: TextTemplate(parts: [.literal("/me")]))

  /// What the log says, without the time.
  private func lines(_ record: (UpstreamFailures) -> Void) -> [Substring] {
    let lines = WrittenLines(.json)
    record(UpstreamFailures(log: lines.log))
    return lines.all.map { $0.drop { $0 != "," } }
  }

  @Test func `a failure names the route and the path, without its query`() {
    let said = lines {
      $0.record(upstream, of: .route("shop"), target: Array("/a/?token=x".utf8), status: 502, "why")
    }
    #expect(
      said == [
        #","level":"warning","message":"an upstream did not answer as expected","path":"/a/","reason":"why","route":"shop","status":502,"upstream":"10.0.0.7"}"#
      ])
  }

  @Test func `a line tells how many were left out, if there were any`() {
    let said = lines {
      $0.recordRepeat(upstream, of: .route("shop"))
      $0.recordShortage(
        upstream, of: .route("shop"),
        ["connections": 1, "clients_not_reading": 0, "let_go": 0, "refused": 1])
    }
    #expect(said.count == 2)
    #expect(!said.contains { $0.contains("suppressed") })
  }

  @Test func `a failure of an authentication server names the entry, the URL and what to do`() {
    let said = lines {
      $0.record(upstream, of: .authenticator("site", url: upstream.fixedURL), status: 503, "why", hint: "do")
    }
    #expect(said.first?.contains(#""auth":"site","hint":"do","reason":"why""#) == true)
    #expect(said.first?.contains(#""url":"http://10.0.0.7/me""#) == true)
  }

  @Test func `the numbers of a shortage are numbers`() {
    let shortage = ["connections": 256, "clients_not_reading": 3, "let_go": 2, "refused": 1]
    let said = lines { $0.recordShortage(upstream, of: .route("shop"), shortage) }
    #expect(
      said.first?.contains(
        #""clients_not_reading":3,"connections":256,"let_go":2,"refused":1,"route":"shop""#) == true)
  }

  @Test(
    arguments: [
      (301, "/me/", "the server answered 301 to /me/", #"write the "/" at the end of the URL"#),
      (
        302, "http://10.0.0.7/me/?token=x", "the server answered 302 to http://10.0.0.7/me/",
        #"write the "/" at the end of the URL"#
      ),
      (
        302, "/login/", "the server answered 302 to /login/",
        "write a URL that the server answers without a redirect"
      ),
      (500, "/me/", "the server answered 500", nil),
    ] as [(Int, String, String, String?)])
  func `a redirect says where to, and what to write`(
    _ status: Int, _ location: String, _ found: String, _ hint: String?
  ) {
    let answer = UpstreamFetcher.Answer(
      status: status, fields: [.init(name: "location", value: location)], body: [])
    #expect(answer.found == found)
    #expect(answer.hint(for: "/me") == hint)
  }
}
