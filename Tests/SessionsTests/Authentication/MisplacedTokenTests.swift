import Testing
import Transport
import WebSocketCore

@testable import GatewayConfig
@testable import Sessions

struct MisplacedTokenTests {
  /// A request, and what is wrong with its token.
  struct Row: Sendable {
    var fields: [HeaderField] = []
    var query: String?
    var subprotocols: [String] = []
    var fault: String?

    var credentials: Credentials {
      Credentials(
        fields: fields, query: query, subprotocols: subprotocols, host: "localhost",
        client: Client(peer: .unix, isSecure: false))
    }
  }

  private static func authorization(_ value: String) -> [HeaderField] {
    [HeaderField(name: "authorization", value: value)]
  }

  private static let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2VjcmV0"
  private static let scheme = #"Authorization does not begin with "Bearer ""#
  private static let subprotocol = "a subprotocol looks like a token: write bearer.TOKEN"
  private static let query = #"the query has a token, and "from" does not name the query"#
  private static let cookie = #"a cookie has a token, and "from" does not name that cookie"#

  static let rows: [Row] = [
    Row(
      fields: authorization("JWT \(token)"),
      fault: #"Authorization has the scheme "JWT", and "Bearer" is expected"#),
    Row(
      fields: authorization("token \(token)"),
      fault: #"Authorization has the scheme "Token", and "Bearer" is expected"#),
    Row(fields: authorization("Secret \(token)"), fault: scheme),
    Row(fields: authorization(token), fault: scheme),
    Row(fields: authorization("bearer"), fault: #"Authorization has no token behind "Bearer""#),
    Row(subprotocols: ["bearer", token], fault: subprotocol),
    Row(subprotocols: [token], fault: subprotocol),
    Row(subprotocols: ["Bearer.\(token)"], fault: subprotocol),
    Row(query: "a=1&token=x", fault: query),
    Row(query: "a=\(token)", fault: query),
    Row(fields: [HeaderField(name: "cookie", value: "a=1; b=\(token)")], fault: cookie),
    Row(fields: authorization(token), subprotocols: [token], fault: "\(scheme); \(subprotocol)"),
    Row(query: "a=1&token=", subprotocols: ["chat.v1"]),
    Row(fields: [HeaderField(name: "cookie", value: "a=1; b=2")]),
  ]

  @Test(arguments: rows)
  func `a token that is sent in the wrong way is named, and not repeated`(_ row: Row) {
    #expect(row.credentials.token(from: [.header, .subprotocol]) == .nothing)
    #expect(row.credentials.misplacedToken(for: [.header, .subprotocol]) == row.fault)
  }

  @Test func `the schemes of the route are named`() {
    func fault(_ value: String) -> String? {
      Row(fields: Self.authorization(value)).credentials.misplacedToken(
        for: [.header], schemes: ["Token", "JWT"])
    }
    #expect(fault("Bearer x") == #"Authorization has the scheme "Bearer", and "Token" or "JWT" is expected"#)
    #expect(fault("jwt") == #"Authorization has no token behind "JWT""#)
    #expect(fault("x") == #"Authorization does not begin with "Token " or "JWT ""#)
  }

  @Test func `a token in a place that is not read is named`() {
    let row = Row(
      fields: Self.authorization("Bearer x"), query: "token=x", subprotocols: ["bearer.x"])
    let faults = [
      #"Authorization has a token, and "from" does not name "header""#,
      #"a subprotocol has a token, and "from" does not name "subprotocol""#,
      #"the query has a token, and "from" names another parameter"#,
    ]
    #expect(
      row.credentials.misplacedToken(for: [.query("access"), .message]) == faults.joined(separator: "; "))
  }

  @Test func `the answer says what is wrong, and a request without a token gets the same answer as ever`() {
    let refusal = AuthRefusal.noToken(Self.scheme)
    #expect(String(decoding: refusal.answer.body, as: UTF8.self) == "a token is needed: \(Self.scheme)\n")
    #expect((refusal.answer.text, refusal.detail) == ("a token is needed", Self.scheme))
    #expect(HandshakeRefusal(refusal).detail == Self.scheme)
    #expect(AuthRefusal.noToken(nil) == AuthRefusal.noToken)
  }
}
