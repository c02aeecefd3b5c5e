import GatewayTestSupport
import JSON
import LayerTestSupport
import Logging
import NIOPosix
import TestSupport
import Testing

@testable import GatewayConfig
@testable import Sessions

private let now = 1_000_000.0

private func authenticator(
  _ keys: JWTConfiguration.Keys, _ change: (inout JWTConfiguration) -> Void = { _ in }
) -> AuthenticatorConfiguration {
  var jwt = JWTConfiguration(keys: keys)
  change(&jwt)
  let start = SourcePosition(line: 1, column: 1)
  let place = SourceRange(file: SourceFile(path: "routes.yaml", text: []), start: start, end: start)
  return AuthenticatorConfiguration(name: "users", kind: .jwt(jwt), range: place)
}

/// The lines of a report as `name: text`, with `!` before a check that does not hold.
private func report(
  _ token: String, by authenticator: AuthenticatorConfiguration, at time: Double = now
) async throws -> [String] {
  let report = try await TokenReport.of(
    token, by: authenticator, on: MultiThreadedEventLoopGroup.singleton, log: .quiet, at: time)
  return (report?.lines ?? []).map { "\($0.holds == false ? "!" : "")\($0.name): \($0.text)" }
}

private let secret = JWTConfiguration.Keys.key(.secret(TokenMaker.secret))

struct TokenIssuerTests {
  @Test(arguments: [SignatureAlgorithm.hs256, .hs384, .hs512])
  func `a token holds what the authenticator requires`(_ algorithm: SignatureAlgorithm) async throws {
    let users = authenticator(secret) {
      $0.algorithms = [algorithm]
      $0.audiences = ["sluice", "other"]
      $0.issuers = ["https://drf.test/"]
    }
    let issuer = try TokenIssuer(for: users)
    let claims = issuer.claims(
      user: "5", for: .seconds(3600), [.init(key: "room", value: .integer(7))], at: now)
    #expect(
      claims == [
        "user_id": "5", "iat": .integer(1_000_000), "exp": .integer(1_003_600), "aud": "sluice",
        "iss": "https://drf.test/", "room": .integer(7),
      ])
    let token = try await issuer.token(claims)
    #expect(
      try await report(token, by: users) == [
        "algorithm: \(algorithm.rawValue)", "signature: made with the secret",
        "user: 5, from the claim user_id", "exp: Mon, 12 Jan 1970 14:46:40 GMT, in 1h",
        "iat: Mon, 12 Jan 1970 13:46:40 GMT, in 0s", #"aud: "sluice""#, #"iss: "https://drf.test/""#,
        "claims: \(claims.text)",
      ])
  }

  @Test func `a claim replaces one that would be made`() throws {
    let issuer = try TokenIssuer(for: authenticator(secret) { $0.user = "profile.name" })
    let claims = issuer.claims(
      user: "ann", for: .seconds(60), [.init(key: "exp", value: .integer(1))], at: now)
    #expect(claims == ["profile.name": "ann", "iat": .integer(1_000_000), "exp": .integer(1)])
    #expect(claims.claim("profile.name") == "ann")
    #expect(["profile.name", "profile", "user_id"].map(issuer.namesUser) == [true, true, false])
  }

  @Test func `a public key cannot sign`() async throws {
    let maker = try await TokenMaker(.es256)
    let sets: [JWTConfiguration.Keys] = [.key(maker.key), .set(.file("/keys.json"), refresh: .seconds(600))]
    for keys in sets {
      #expect { try TokenIssuer(for: authenticator(keys)) } throws: {
        "\($0)".hasPrefix(
          "\"users\" knows only public keys, which verify tokens and cannot sign them: ask the issuer")
      }
    }
  }
}

struct TokenReportTests {
  @Test func `every fault is named, and not only the first`() async throws {
    let maker = try await TokenMaker(.hs256, secret: Array("another secret".utf8))
    let token = try maker.token(
      #"{"sub":"","exp":940000,"nbf":1000007,"iat":"x","aud":["a"],"token_type":"refresh"}"#)
    let users = authenticator(secret) { $0.audiences = ["sluice"] }
    #expect(
      try await report(token, by: users).dropLast() == [
        "algorithm: HS256", "!signature: the signature of the token is wrong",
        #"!user: the token has no claim that names its user ("sub" is empty, and one text or whole number is needed)"#,
        "!exp: the token has expired: Sun, 11 Jan 1970 21:06:40 GMT, 16h 40m ago",
        "!nbf: the token is not valid yet: Mon, 12 Jan 1970 13:46:47 GMT, in 7s",
        "!iat: the claim iat is not a time",
        #"!aud: the token is for another audience (the aud of the token does not contain sluice, which "audience" requires)"#,
        "!token_type: the token is not an access token (token_type)",
      ])
  }

  @Test func `what is no token has one line`() async throws {
    let users = authenticator(secret)
    #expect(
      try await report("hello", by: users) == ["!token: the token is not a JWT: it does not have three parts"]
    )
  }

  @Test func `a key of another kind is not tried`() async throws {
    let maker = try await TokenMaker(.es256)
    let lines = try await report(try maker.token(#"{"sub":"5","exp":1000060}"#), by: authenticator(secret))
    #expect(
      lines == [
        "!algorithm: the algorithm of the token is not accepted (its alg is ES256, and HS256 is accepted)",
        "user: 5, from the claim sub", "exp: Mon, 12 Jan 1970 13:47:40 GMT, in 1m",
        #"claims: {"sub":"5","exp":1000060}"#,
      ])
  }

  @Test func `a key of a set is named`() async throws {
    let maker = try await TokenMaker(.es256)
    let folder = try TemporaryFolder()
    try folder.write(#"{"keys":[\#(maker.jwk(named: "old"))]}"#, as: "keys.json")
    let set = authenticator(.set(.file(folder.path("keys.json")), refresh: .seconds(600)))
    let token = try maker.token(#"{"sub":"5","exp":1000060}"#)
    #expect(
      try await report(token, by: set)[1]
        == "signature: made with the key \"old\" of \(folder.path("keys.json"))")
    let other = try maker.token(#"{"sub":"5","exp":1000060}"#, header: #"{"alg":"ES256","kid":"new"}"#)
    #expect(
      try await report(other, by: set)[1]
        == #"!signature: the key of the token is not known (the token names the key "new")"#)
  }
}
