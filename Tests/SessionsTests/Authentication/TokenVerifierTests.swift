import Bytes
import Consumers
import GatewayTestSupport
import JSON
import JWTKit
import LayerTestSupport
import Logging
import Routing
import Testing

@testable import GatewayConfig
@testable import Sessions

private let now = 1_000_000.0

private func verifier(
  _ key: VerificationKey, _ algorithms: [SignatureAlgorithm]?,
  _ change: (inout JWTConfiguration) -> Void = { _ in }
) -> TokenVerifier {
  var configuration = JWTConfiguration(keys: .key(key), algorithms: algorithms)
  change(&configuration)
  return TokenVerifier(configuration, keys: KeyRing(configuration, server: nil, log: .quiet))
}

/// What is said of a token in a few words: its user, or what is wrong.
private func verdict(_ verifier: TokenVerifier, _ token: String, at time: Double = now) async -> String {
  switch await verifier.verify(token, at: time) {
  case .identity(let identity): identity.user
  case .refused(let refusal): refusal.answer.text
  case .unavailable: "unavailable"
  case .anonymous, .awaited: "impossible"
  }
}

private let good = #"{"user_id":"5","exp":1000060}"#

struct TokenVerifierTests {
  @Test(arguments: SignatureAlgorithm.allCases)
  func `every algorithm is verified`(_ algorithm: SignatureAlgorithm) async throws {
    let maker = try await TokenMaker(algorithm)
    let verifier = verifier(maker.key, [algorithm])
    let token = try maker.token(good)
    #expect(await verdict(verifier, token) == "5")
    // Signed by somebody else with a key of the same kind.
    let other = try await TokenMaker(algorithm, secret: Array("another secret".utf8))
    #expect(await verdict(verifier, try other.token(good)) == "the signature of the token is wrong")
    let parts = token.split(separator: ".")
    let forged = "\(parts[0]).\(TokenMaker.encode(#"{"user_id":"1","exp":1000060}"#)).\(parts[2])"
    #expect(await verdict(verifier, forged) == "the signature of the token is wrong")
    #expect(await verdict(verifier, "\(parts[0]).\(parts[1]).") == "the signature of the token is wrong")
  }

  // RFC 9864 section 2.2.
  @Test(.bug(id: "ed25519-name"))
  func `Ed25519 is another name of EdDSA, in a token and in what is allowed`() async throws {
    let maker = try await TokenMaker(.edDSA)
    let token = try maker.token(good, header: #"{"alg":"Ed25519"}"#)
    #expect(await verdict(verifier(maker.key, nil), token) == "5")
    #expect(await verdict(verifier(maker.key, [.edDSA]), token) == "5")
    #expect(SignatureAlgorithm(named: "Ed25519") == .edDSA)
    #expect(SignatureAlgorithm(named: "Ed448") == nil)
  }

  @Test func `a short secret is used as it is`() async throws {
    let maker = try await TokenMaker(.hs512, secret: Array("short".utf8))
    #expect(await verdict(verifier(maker.key, [.hs512]), try maker.token(good)) == "5")
  }

  @Test func `nobody's signature is none`() async throws {
    let maker = try await TokenMaker(.hs256)
    let verifier = verifier(maker.key, [.hs256])
    for name in ["none", "None", "NONE", "", "HS", "RS256"] {
      let header = TokenMaker.encode(#"{"alg":"\#(name)"}"#)
      for signature in ["", "AAAA"] {
        let token = "\(header).\(TokenMaker.encode(good)).\(signature)"
        #expect(await verdict(verifier, token) == "the algorithm of the token is not accepted", "\(name)")
      }
    }
    let unnamed = "\(TokenMaker.encode("{}")).\(TokenMaker.encode(good)).AAAA"
    #expect(await verdict(verifier, unnamed) == "the algorithm of the token is not accepted")
  }

  /// Who takes the public key for the shared secret accepts what anybody can sign.
  @Test func `a public key is no secret`() async throws {
    let maker = try await TokenMaker(.rs256)
    guard case .rsa(let key) = maker.key else { return }
    for text in [key.pemRepresentation, key.pemRepresentation + "\n"] {
      let forger = try await TokenMaker(.hs256, secret: Array(text.utf8))
      let token = try forger.token(good)
      for algorithms in [nil, [.rs256], [.rs256, .hs256]] as [[SignatureAlgorithm]?] {
        let answer = await verdict(verifier(maker.key, algorithms), token)
        #expect(
          ["the algorithm of the token is not accepted", "the key of the token is not known"].contains(answer)
        )
      }
    }
  }

  @Test func `only the algorithms of the configuration are used`() async throws {
    let maker = try await TokenMaker(.rs384)
    let token = try maker.token(good)
    #expect(await verdict(verifier(maker.key, nil), token) == "the algorithm of the token is not accepted")
    #expect(
      await verdict(verifier(maker.key, [.rs256, .ps384]), token)
        == "the algorithm of the token is not accepted")
    #expect(await verdict(verifier(maker.key, [.rs256, .rs384]), token) == "5")
  }

  @Test(arguments: [
    (#""exp":1000001"#, "5"), (#""exp":1000000"#, "the token has expired"),
    (#""exp":999999.5"#, "the token has expired"), (#""exp":1000000.5"#, "5"),
    (#""exp":-1"#, "the token has expired"), (#""exp":"2000000""#, "the claim exp is not a time"),
    (#""exp":null"#, "the claim exp is not a time"), (#""exp":[2000000]"#, "the claim exp is not a time"),
    (#""exp":1e300"#, "5"), (#""x":1"#, "the token has no expiry (exp)"),
    (#""exp":1000060,"nbf":1000000"#, "5"), (#""exp":1000060,"nbf":1000001"#, "the token is not valid yet"),
    (#""exp":1000060,"iat":1000000"#, "5"),
    (#""exp":1000060,"iat":1000001"#, "the token was issued in the future"),
    (#""exp":1000060,"nbf":"0""#, "the claim nbf is not a time"),
    // A claim that stands twice: the last counts.
    (#""exp":1,"exp":1000060"#, "5"), (#""exp":1000060,"exp":1"#, "the token has expired"),
    (#""exp":1000060,"user_id":"6""#, "6"),
  ])
  func `times are checked`(_ claims: String, _ answer: String) async throws {
    let maker = try await TokenMaker(.hs256)
    let token = try maker.token(#"{"user_id":"5",\#(claims)}"#)
    #expect(await verdict(verifier(maker.key, nil), token) == answer)
  }

  @Test func `the clocks may differ by the leeway`() async throws {
    let maker = try await TokenMaker(.hs256)
    let verifier = verifier(maker.key, nil) { $0.leeway = .seconds(30) }
    let token = try maker.token(#"{"user_id":"5","exp":1000060,"nbf":1000000,"iat":1000000}"#)
    #expect(await verdict(verifier, token, at: 1_000_089) == "5")
    #expect(await verdict(verifier, token, at: 1_000_090) == "the token has expired")
    #expect(await verdict(verifier, token, at: 999_970) == "5")
    #expect(await verdict(verifier, token, at: 999_969) == "the token is not valid yet")
    guard case .identity(let identity) = await verifier.verify(token, at: now) else {
      Issue.record("not accepted")
      return
    }
    #expect(identity.expires == 1_000_090)
  }

  @Test(arguments: [(nil, nil), (.seconds(3600), 1_003_600)] as [(Duration?, Double?)])
  func `a session that is kept ends with its own age, and a token that has ended begins none`(
    _ age: Duration?, _ end: Double?
  ) async throws {
    let maker = try await TokenMaker(.hs256)
    let verifier = verifier(maker.key, nil) {
      $0.expiry = .keep
      $0.maxAge = age
    }
    let token = try maker.token(good)
    guard case .identity(let identity) = await verifier.verify(token, at: now) else {
      Issue.record("not accepted")
      return
    }
    #expect(identity.expires == end)
    #expect(await verdict(verifier, token, at: 1_000_060) == "the token has expired")
  }

  @Test(arguments: [
    (["a"], #""aud":"a""#, true), (["a"], #""aud":["b","a"]"#, true), (["a", "b"], #""aud":"b""#, true),
    (["a"], #""aud":"b""#, false), (["a"], #""aud":[]"#, false), (["a"], #""x":1"#, false),
    (["a"], #""aud":1"#, false), ([], #""x":1"#, true), ([], #""aud":null"#, true),
    // Meant for somebody, and nobody says that it is this one.
    ([], #""aud":"a""#, false),
  ])
  func `audiences are checked`(_ audiences: [String], _ claim: String, _ isGood: Bool) async throws {
    let maker = try await TokenMaker(.hs256)
    let token = try maker.token(#"{"user_id":"5","exp":1000060,\#(claim)}"#)
    let answer = await verdict(verifier(maker.key, nil) { $0.audiences = audiences }, token)
    #expect(answer == (isGood ? "5" : "the token is for another audience"))
  }

  @Test(arguments: [
    (["i"], #""iss":"i""#, true), (["h", "i"], #""iss":"i""#, true), (["i"], #""iss":"j""#, false),
    (["i"], #""x":1"#, false), (["i"], #""iss":["i"]"#, false), ([], #""iss":"any""#, true),
  ])
  func `issuers are checked`(_ issuers: [String], _ claim: String, _ isGood: Bool) async throws {
    let maker = try await TokenMaker(.hs256)
    let token = try maker.token(#"{"user_id":"5","exp":1000060,\#(claim)}"#)
    let answer = await verdict(verifier(maker.key, nil) { $0.issuers = issuers }, token)
    #expect(answer == (isGood ? "5" : "the token is from another issuer"))
  }

  @Test(arguments: [
    (nil, #""user_id":5"#, "5"), (nil, #""user_id":"5","sub":"6""#, "5"), (nil, #""sub":"6""#, "6"),
    (nil, #""name":"7""#, "the token has no claim that names its user"), ("name", #""name":"7""#, "7"),
    ("name", #""sub":"6""#, "the token has no claim that names its user"),
    (nil, #""sub":"""#, "the token has no claim that names its user"),
    (nil, #""sub":true"#, "the token has no claim that names its user"),
    (nil, #""sub":1.5"#, "the token has no claim that names its user"),
    ("a.b", #""a":{"b":"8"}"#, "8"),
  ])
  func `the user is named`(_ claim: String?, _ claims: String, _ answer: String) async throws {
    let maker = try await TokenMaker(.hs256)
    let token = try maker.token(#"{"exp":1000060,\#(claims)}"#)
    #expect(await verdict(verifier(maker.key, nil) { $0.user = claim }, token) == answer)
  }

  @Test(arguments: [
    ("access", "5"), ("sliding", "5"), ("Bearer", "5"),
    ("refresh", "the token is not an access token (token_type)"),
    ("", "the token is not an access token (token_type)"),
  ])
  func `a refresh token is no access token`(_ type: String, _ answer: String) async throws {
    let maker = try await TokenMaker(.hs256)
    let token = try maker.token(#"{"user_id":"5","exp":1000060,"token_type":"\#(type)"}"#)
    #expect(await verdict(verifier(maker.key, nil), token) == answer)
  }

  @Test func `an extension is not passed over`() async throws {
    let maker = try await TokenMaker(.hs256)
    let verifier = verifier(maker.key, nil)
    for crit in [#"["exp"]"#, "[]", "null", #"["b64"],"b64":false"#] {
      let token = try maker.token(good, header: #"{"alg":"HS256","crit":\#(crit)}"#)
      #expect(await verdict(verifier, token) == "the token needs an extension (crit) that is not supported")
    }
  }

  /// RFC 8725 section 3.10: what the token itself says about keys is the word of whoever made it.
  @Test func `keys in the token are not used`() async throws {
    let maker = try await TokenMaker(.es256)
    let other = try await TokenMaker(.es256)
    let header = #"{"alg":"ES256","jwk":\#(other.jwk(named: nil)),"jku":"http://127.0.0.1:1/","x5u":"x"}"#
    #expect(
      await verdict(verifier(maker.key, nil), try other.token(good, header: header))
        == "the signature of the token is wrong")
  }

  @Test func `what is no token is refused`() async throws {
    let maker = try await TokenMaker(.hs256)
    let verifier = verifier(maker.key, nil)
    let token = try maker.token(good)
    let parts = token.split(separator: ".").map(String.init)
    for text in [
      "", ".", "..", "...", "a.b", "a.b.c", token + ".x", token + "=", token + " ", "\(parts[0]).\(parts[1])",
      "=\(token)", "\(parts[0])==.\(parts[1]).\(parts[2])", "\(parts[0]).\(parts[1]).\u{e9}",
      "\(TokenMaker.encode("[]")).\(parts[1]).\(parts[2])",
      "\(TokenMaker.encode(#"{"alg":1}"#)).\(parts[1]).AA",
      "\(TokenMaker.encode(#"{"alg":"HS256","kid":1}"#)).\(parts[1]).AA",
      String(repeating: "[", count: 4000) + "..",
    ] {
      let answer = await verdict(verifier, text)
      #expect(answer.hasPrefix("the "), "\(text): \(answer)")
    }
    for claims in ["[]", "1", "", "{", #"{"exp":"#, String(repeating: "[", count: 3000)] {
      #expect(await verdict(verifier, try maker.token(claims)) == "the claims of the token are malformed")
    }
    let long = try maker.token(
      #"{"user_id":"5","exp":1000060,"x":"\#(String(repeating: "x", count: 8000))"}"#)
    #expect(await verdict(verifier, long) == "the token is too long")
  }

  /// Bits that mean nothing must be zero, or one signature could be written in several ways.
  @Test func `a signature is written in one way`() async throws {
    let maker = try await TokenMaker(.hs256)
    let verifier = verifier(maker.key, nil)
    let token = try maker.token(good)
    // 32 bytes are 43 digits, of which the last has two bits to spare.
    let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    let letter = try #require(token.last)
    let last = try #require(digits.firstIndex(of: letter))
    #expect(await verdict(verifier, token) == "5")
    let other = String(token.dropLast()) + String(digits[last | 1])
    #expect(await verdict(verifier, other) == "the signature of the token is malformed")
  }
}

struct RequirementTests {
  private let claims = JSON.object([
    .init(key: "role", value: .string("admin")), .init(key: "level", value: .integer(3)),
    .init(key: "teams", value: .array([.string("red"), .string("blue")])),
    .init(key: "staff", value: .bool(true)),
    .init(key: "realm", value: .object([.init(key: "roles", value: .array([.string("x")]))])),
    .init(key: "https://a.b/c", value: .string("d")),
  ])

  @Test(
    arguments: [
      ("role", [.string("admin")], true), ("role", [.string("staff"), .string("admin")], true),
      ("role", [.string("staff")], false), ("teams", [.string("blue")], true),
      ("teams", [.string("green")], false),
      ("level", [.integer(3)], true), ("level", [.string("3")], false), ("staff", [.bool(true)], true),
      ("absent", [.null], false), ("realm.roles", [.string("x")], true),
      ("realm.none", [.string("x")], false),
      ("https://a.b/c", [.string("d")], true),
    ] as [(String, [JSON], Bool)])
  func `a claim is one of the values`(_ claim: String, _ values: [JSON], _ holds: Bool) {
    let requirement = ClaimRequirement(claim: claim, values: values.map { .constant($0) })
    #expect(requirement.holds(in: claims, for: Captures()) == holds)
  }

  @Test(
    arguments: [
      (#""7""#, "7", true), ("7", "7", true), ("7", "07", false), (#""07""#, "07", true),
      (#""07""#, "7", false),
      ("-7", "-7", true), ("7.0", "7.0", false), ("7.0", "7", false),
      ("18446744073709551615", "18446744073709551615", true),
      ("true", "true", false), ("null", "null", false), (#"["a", 7, null]"#, "7", true),
      (#"["a", true]"#, "true", false),
      (#"["a", null]"#, "null", false), ("[]", "7", false), (#"[["7"]]"#, "7", false),
      (#"{"7": 7}"#, "7", false),
      (#""é""#, "e\u{301}", false),
    ])
  func `a claim is compared with what the path captured`(_ claim: String, _ room: String, _ holds: Bool)
    throws
  {
    let claims = JSON.object([.init(key: "rooms", value: try JSON.parse(Array(claim.utf8).rawBytes))])
    let requirement = ClaimRequirement(claim: "rooms", values: [.capture("room")])
    #expect(requirement.holds(in: claims, for: Captures([.init(name: "room", value: room)])) == holds)
    #expect(!requirement.holds(in: claims, for: Captures()))
  }

  @Test(
    arguments: [
      ("scope", "read:chat", true), ("scope", "openid  read:chat write:chat", true),
      ("scope", "openid read:chats", false), ("scope", "", false), ("scp", "read:chat x", true),
      ("role", "read:chat x", false), ("scope", "READ:CHAT x", false),
    ])
  func `a word of a scope is enough`(_ name: String, _ scope: String, _ holds: Bool) {
    let claims = JSON.object([.init(key: name, value: .string(scope))])
    let requirement = ClaimRequirement(claim: name, values: [.constant(.string("read:chat"))])
    #expect(requirement.holds(in: claims, for: Captures()) == holds)
    let whole = ClaimRequirement(claim: name, values: [.constant(.string(scope))])
    #expect(whole.holds(in: claims, for: Captures()))
  }

  @Test func `one of several requirements, or each of them`() {
    func role(_ name: String) -> Requirement {
      .claim(ClaimRequirement(claim: "role", values: [.constant(.string(name))]))
    }
    let staff = Requirement.claim(ClaimRequirement(claim: "staff", values: [.constant(.bool(true))]))
    let captures = Captures()
    #expect(Requirement.any([role("none"), staff]).holds(in: claims, for: captures))
    #expect(!Requirement.any([role("none"), role("other")]).holds(in: claims, for: captures))
    #expect(Requirement.all([role("admin"), staff]).holds(in: claims, for: captures))
    #expect(!Requirement.all([role("admin"), role("other")]).holds(in: claims, for: captures))
    #expect(
      Requirement.any([role("none"), .all([staff, role("other")])]).fault(
        in: claims, of: "the token", for: captures)
        == #"none of "any" holds: "role" in the token is another text, and none is required; "role" in the token is another text, and other is required"#
    )
  }
}

/// What the log says of a token that is refused, beside the reason.
private func detail(_ verifier: TokenVerifier, _ token: String) async -> String? {
  if case .refused(let refusal) = await verifier.verify(token, at: now) { refusal.detail } else { nil }
}

struct RefusalDetailTests {
  @Test func `the log says which algorithm was found, and which are accepted`() async throws {
    let token = try await TokenMaker(.hs512).token(good)
    let maker = try await TokenMaker(.hs256)
    #expect(await detail(verifier(maker.key, nil), token) == "its alg is HS512, and HS256 is accepted")
    #expect(
      await detail(verifier(maker.key, [.hs256, .hs384]), token)
        == "its alg is HS512, and HS256 or HS384 is accepted")
    let none = "\(TokenMaker.encode(#"{"alg":"none"}"#)).\(TokenMaker.encode(good)).AAAA"
    #expect(
      await detail(verifier(maker.key, nil), none) == #"its alg is "none", which Sluice does not support"#)
  }

  @Test(
    arguments: [
      ([], #""aud":"app""#, #"the token has an aud, and "jwt" names no "audience""#),
      (
        ["a", "b"], #""aud":"app""#,
        #"the aud of the token does not contain a or b, which "audience" requires"#
      ),
      (["a"], #""x":1"#, #"the token has no aud, and "audience" requires a"#),
    ] as [([String], String, String)])
  func `the log says whose audience is missing`(_ audiences: [String], _ claim: String, _ said: String)
    async throws
  {
    let maker = try await TokenMaker(.hs256)
    let token = try maker.token(#"{"user_id":"5","exp":1000060,\#(claim)}"#)
    let detail = await detail(verifier(maker.key, nil) { $0.audiences = audiences }, token)
    #expect(detail?.hasPrefix(said) == true, "\(detail ?? "")")
  }

  @Test(
    arguments: [
      (nil, #""name":"7""#, #"it has no "user_id" and no "sub"; it has "exp", "name""#),
      ("uid", #""sub":"6""#, #"it has no "uid"; it has "exp", "sub""#),
      (nil, #""sub":true"#, #""sub" is true, and one text or whole number is needed"#),
      (nil, #""sub":"""#, #""sub" is empty, and one text or whole number is needed"#),
    ] as [(String?, String, String)])
  func `the log says which claims were looked for, and which there are`(
    _ user: String?, _ claims: String, _ said: String
  ) async throws {
    let maker = try await TokenMaker(.hs256)
    let token = try maker.token(#"{"exp":1000060,\#(claims)}"#)
    #expect(await detail(verifier(maker.key, nil) { $0.user = user }, token) == said)
  }

  @Test func `a member that is there is not said to be missing`() {
    func said(_ user: JSON) -> String {
      JSON.object([.init(key: "user", value: user)]).whyNoUser(among: ["user", "id"])
    }
    #expect(said(.null) == #""user" is null, and one text or whole number is needed"#)
    #expect(
      said(.double(1.5)) == #""user" is a number with a fraction, and one text or whole number is needed"#)
  }

  @Test func `names of members are bounded`() {
    let many = JSON.object(
      (0..<100).map { .init(key: "\($0)" + String(repeating: "k", count: 500), value: .null) })
    let said = many.whyNoUser(among: ["id"])
    #expect(said.utf8.count < 1000 && said.hasSuffix("\u{2026}\" and 88 others"))
  }

  @Test(
    arguments: [
      (
        "is_superuser", [JSON.bool(true)],
        #""is_superuser" is missing from the answer of "site", and true is required"#
      ),
      ("is_staff", [.bool(true)], #""is_staff" in the answer of "site" is false, and true is required"#),
      (
        "role", [.string("admin"), .string("staff")],
        #""role" in the answer of "site" is another text, and admin or staff is required"#
      ),
      ("roles", [.string("admin")], #"the list "roles" in the answer of "site" does not contain admin"#),
    ] as [(String, [JSON], String)])
  func `the log names the claim that is required`(_ claim: String, _ values: [JSON], _ said: String) {
    let claims = JSON.object([
      .init(key: "is_staff", value: .bool(false)), .init(key: "role", value: .string("secret")),
      .init(key: "roles", value: .array([.string("secret")])),
    ])
    let requirement = Requirement.claim(
      ClaimRequirement(claim: claim, values: values.map { .constant($0) }))
    #expect(requirement.fault(in: claims, of: #"the answer of "site""#, for: Captures()) == said)
  }

  @Test func `an expiry in milliseconds is a warning, at most one in ten seconds`() async throws {
    let lines = WrittenLines(.text)
    let maker = try await TokenMaker(.hs256)
    let configuration = JWTConfiguration(keys: .key(maker.key), algorithms: nil)
    let verifier = TokenVerifier(
      configuration, keys: KeyRing(configuration, server: nil, log: .quiet),
      late: LateExpiries(of: "site", log: lines.log))
    for exp in ["1000060", "1800000000000", "1800000000001"] {
      #expect(await verdict(verifier, try maker.token(#"{"sub":"5","exp":\#(exp)}"#)) == "5")
    }
    let said = lines.all
    #expect(said.count == 1 && said[0].contains("WARNING an identity expires after the year 9999 auth=site"))
  }
}
