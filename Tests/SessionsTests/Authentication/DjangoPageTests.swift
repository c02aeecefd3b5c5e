import Testing
import WebSocketCore

@testable import Sessions

struct DjangoPageTests {
  private func page(_ status: Int, _ body: String = "", location: String? = nil) -> DjangoPage? {
    let fields = location.map { [HeaderField(name: "location", value: $0)] } ?? []
    return DjangoPage(
      UpstreamFetcher.Answer(status: status, fields: fields, body: Array(body.utf8)),
      to: Question(target: "/api/may?x=1", fields: [HeaderField(name: "Host", value: "chat.test")]))
  }

  @Test func `Django's own pages are known`() {
    #expect(page(403, "<p>CSRF verification failed. Request aborted.</p>") == .csrf)
    #expect(page(403, #"{"detail":"CSRF Failed: CSRF token missing."}"#) == .csrf)
    #expect(page(400, "<h1>Bad Request (400)</h1>") == .disallowedHost("chat.test"))
    #expect(page(400, "<title>DisallowedHost at /</title>") == .disallowedHost("chat.test"))
    #expect(page(301, location: "/api/may/?x=1") == .missingSlash)
    #expect(
      page(404, "<h1>Not Found</h1><p>The requested resource was not found on this server.</p>") == .notFound)
    #expect(
      page(500, "RuntimeError: You called this URL via POST, but ... APPEND_SLASH=False") == .missingSlash)
    #expect(page(301, location: "https://chat.test/api/may?x=1") == .toHTTPS)
    #expect(page(302, location: "/accounts/login/?next=/api/may") == .toLogin("/accounts/login/"))
    let form = #"<input type="hidden" name="csrfmiddlewaretoken"><input type="password" name="password">"#
    #expect(page(200, form) == .login)
  }

  @Test(arguments: [("text/html; charset=utf-8", true), ("Text/HTML", true), ("application/json", false)])
  func `what says that it is no page is none`(_ row: (type: String, isPage: Bool)) {
    let form = #"{"do": [{"send": {"text": "csrfmiddlewaretoken type="password""}}]}"#
    let answer = UpstreamFetcher.Answer(
      status: 200, fields: [HeaderField(name: "content-type", value: row.type)], body: Array(form.utf8))
    #expect(DjangoPage(answer, to: Question(target: "/", fields: [])) == (row.isPage ? .login : nil))
  }

  // The page of DEBUG=True lists all settings, APPEND_SLASH among them.
  @Test func `a view that raised is no URL without its last slash`() {
    let text = """
      ValueError at /api/may
      no such room

      Request Method: GET
      Django Version: 5.2
      Settings:
      APPEND_SLASH = True
      """
    #expect(page(500, text) == .raised("ValueError at /api/may"))
    let html = """
      <html><head><title>
          KeyError
          at /api/&lt;may&gt;
      </title></head><th>Django Version:</th><td>APPEND_SLASH</td>
      """
    #expect(page(500, html) == .raised("KeyError at /api/&lt;may&gt;"))
    #expect(page(500, "\n\nDjango Version: 5.2") == .raised(""))
    #expect(DjangoPage.raised("").found == "the view raised an exception")
    #expect(DjangoPage.raised("A at /b").found == "the view raised an exception: A at /b")
    let slash = """
      RuntimeError at /api/may
      You called this URL via POST, but the URL doesn't end in a slash and you have APPEND_SLASH set.

      Django Version: 5.2
      """
    #expect(page(500, slash) == .missingSlash)
    #expect(page(500, "APPEND_SLASH") == nil)
  }

  @Test func `other answers are the view's`() {
    #expect(page(403, #"{"detail":"You are no member."}"#) == nil)
    #expect(page(400, "{}") == nil)
    #expect(page(302, location: "/elsewhere/") == nil)
    #expect(page(302) == nil)
    #expect(page(200, #"{"user": "csrfmiddlewaretoken"}"#) == nil)
    #expect(page(404, "APPEND_SLASH") == nil)
    #expect(page(404, #"{"detail":"Not found."}"#) == nil)
  }
}
