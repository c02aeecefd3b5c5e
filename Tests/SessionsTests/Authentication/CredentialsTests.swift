import Consumers
import JSON
import Testing
import Transport
import WebSocketCore

@testable import GatewayConfig
@testable import Sessions

struct CredentialsTests {
  private func credentials(
    _ fields: [(String, String)], query: String? = nil, subprotocols: [String] = []
  ) -> Credentials {
    Credentials(
      fields: fields.map { HeaderField(name: $0.0, value: $0.1) }, query: query, subprotocols: subprotocols,
      host: "localhost", client: Client(peer: .unix, isSecure: false))
  }

  @Test(
    arguments: [
      ("Bearer abc", .token("abc")), ("bearer abc", .token("abc")), ("BEARER   abc", .token("abc")),
      ("Basic abc", .nothing), ("Bearer", .nothing), ("Bearerabc", .nothing), ("", .nothing),
    ] as [(String, Credentials.Found)])
  func `a token is read from the header`(_ value: String, _ found: Credentials.Found) {
    #expect(credentials([("authorization", value)]).token(from: [.header]) == found)
  }

  @Test(
    arguments: [
      ("Token abc", .token("abc")), ("TOKEN abc", .token("abc")), ("JWT x", .token("x")),
      ("Bearer abc", .nothing), ("Tokenabc", .nothing), ("Token", .nothing),
    ] as [(String, Credentials.Found)])
  func `a route can have other schemes`(_ value: String, _ found: Credentials.Found) {
    let all = credentials([("authorization", value)])
    #expect(all.token(from: [.header], schemes: ["Token", "JWT"]) == found)
  }

  @Test func `a token in the query may be percent-encoded where a view reads it`() {
    let encoded = credentials([], query: "token=a%2Bb%3D")
    #expect(encoded.token(from: [.query("token")], isDecoded: true) == .token("a+b="))
    #expect(encoded.token(from: [.query("token")]) == .token("a%2Bb%3D"))
  }

  @Test(
    arguments: [
      ("access=abc", .token("abc")), ("a=1; access=abc; b=2", .token("abc")), ("xaccess=abc", .nothing),
      ("access=", .nothing), ("accessx=abc", .nothing), ("access=abc; access=def", .several), ("", .nothing),
    ] as [(String, Credentials.Found)])
  func `a token is read from a cookie`(_ value: String, _ found: Credentials.Found) {
    #expect(credentials([("cookie", value)]).token(from: [.cookie("access")]) == found)
  }

  @Test(
    arguments: [
      ("token=abc", .token("abc")), ("a=1&token=abc", .token("abc")), ("xtoken=abc", .nothing),
      ("token=", .nothing),
      ("token", .nothing), ("token=a&token=b", .several), (nil, .nothing),
    ] as [(String?, Credentials.Found)])
  func `a token is read from the query`(_ query: String?, _ found: Credentials.Found) {
    #expect(credentials([], query: query).token(from: [.query("token")]) == found)
  }

  @Test func `places that have different tokens are refused`() {
    let all = credentials(
      [("authorization", "Bearer h"), ("cookie", "t=c")], query: "t=q", subprotocols: ["v1", "bearer.s"])
    #expect(all.token(from: [.subprotocol, .header]) == .different)
    #expect(all.token(from: [.query("t"), .header]) == .different)
    #expect(all.token(from: [.message, .cookie("t")]) == .token("c"))
    #expect(all.token(from: [.cookie("x"), .header]) == .token("h"))
    #expect(all.token(from: [.message]) == .nothing)
    let same = credentials([("authorization", "Bearer x"), ("cookie", "t=x")], query: "t=x")
    #expect(same.token(from: [.header, .cookie("t"), .query("t")]) == .token("x"))
    // What is no token of the route's schemes does not count.
    let other = credentials([("authorization", "Basic h")], query: "t=q")
    #expect(other.token(from: [.header, .query("t")]) == .token("q"))
    #expect(
      credentials([("authorization", "Bearer a"), ("authorization", "Bearer b")]).token(from: [.header])
        == .several)
  }
}

struct WorkerIdentitiesTests {
  private final class FakeSession: UserSession {
    let identity: Identity?
    var closed: [CloseReason] = []

    init(_ user: String?) {
      identity = user.map { Identity(user: $0, claims: .object([])) }
    }

    func close(_ reason: CloseReason) { closed.append(reason) }
  }

  @Test func `the sessions of a user are found`() {
    let identities = WorkerIdentities()
    let (first, second, other, nobody) = (
      FakeSession("5"), FakeSession("5"), FakeSession("6"), FakeSession(nil)
    )
    for session in [first, second, other, nobody] { identities.add(session) }
    #expect(identities.sessions(of: "5").count == 2)
    identities.remove(first)
    identities.remove(first)
    identities.remove(nobody)
    #expect(identities.sessions(of: "5").map { ObjectIdentifier($0) } == [ObjectIdentifier(second)])
    #expect(identities.sessions(of: "6").count == 1)
    #expect(identities.sessions(of: "7").isEmpty)
  }
}
