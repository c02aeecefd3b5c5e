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

  @Test func `the first place that has one decides`() {
    let all = credentials(
      [("authorization", "Bearer h"), ("cookie", "t=c")], query: "t=q", subprotocols: ["v1", "bearer.s"])
    #expect(all.token(from: [.subprotocol, .header]) == .token("s"))
    #expect(all.token(from: [.query("t"), .header]) == .token("q"))
    #expect(all.token(from: [.message, .cookie("t")]) == .token("c"))
    #expect(all.token(from: [.cookie("x"), .header]) == .token("h"))
    #expect(all.token(from: [.message]) == .nothing)
    #expect(
      credentials([("authorization", "Bearer a"), ("authorization", "Bearer b")]).token(from: [.header])
        == .several)
  }
}

struct IdentityCacheTests {
  private let identity = Identity(user: "5", claims: .object([]))

  @Test func `an identity is kept for a short time, and for the same fields`() {
    let cache = IdentityCache(lifetime: .seconds(10))
    let fields = [HeaderField(name: "cookie", value: "s=1")]
    let start = MonotonicTime(nanoseconds: 1_000_000_000)
    cache.keep(identity, for: fields, at: start)
    #expect(cache.identity(for: fields, at: start + .seconds(9)) === identity)
    #expect(cache.identity(for: fields, at: start + .seconds(10)) == nil)
    #expect(cache.identity(for: [HeaderField(name: "cookie", value: "s=2")], at: start) == nil)
    // One value is not two.
    cache.keep(
      identity, for: [HeaderField(name: "a", value: "b"), HeaderField(name: "c", value: "d")], at: start)
    #expect(cache.identity(for: [HeaderField(name: "a", value: "bcd")], at: start) == nil)
  }

  @Test func `the cache is bounded`() {
    let cache = IdentityCache(lifetime: .seconds(10))
    let start = MonotonicTime(nanoseconds: 1_000_000_000)
    for number in 0..<10_000 {
      cache.keep(identity, for: [HeaderField(name: "cookie", value: "\(number)")], at: start)
    }
    let kept = (0..<10_000).count { number in
      cache.identity(for: [HeaderField(name: "cookie", value: "\(number)")], at: start) != nil
    }
    #expect((1...4096).contains(kept))
  }

  @Test func `an identity that has expired is not used`() {
    let cache = IdentityCache(lifetime: .seconds(10))
    let start = MonotonicTime(nanoseconds: 1_000_000_000)
    cache.keep(Identity(user: "5", claims: .object([]), expires: 1000), for: [], at: start)
    #expect(cache.identity(for: [], at: start) == nil)
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
