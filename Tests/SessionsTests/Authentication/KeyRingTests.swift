import Consumers
import Foundation
import GatewayTestSupport
import LayerTestSupport
import Logging
import TestSupport
import Testing

@testable import GatewayConfig
@testable import Sessions

private let claims = #"{"user_id":"5","exp":4000000000}"#

/// A set of keys in a file that changes.
struct KeyRingTests {
  private let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder()
  }

  private func write(_ keys: [String]) throws {
    try folder.write(#"{"keys":[\#(keys.joined(separator: ","))]}"#, as: "keys.json")
  }

  private func verifier(
    refresh: Duration = .seconds(600), leastPause: Duration = .zero, algorithms: [SignatureAlgorithm]? = nil
  ) -> TokenVerifier {
    let configuration = JWTConfiguration(
      keys: .set(.file(folder.path("keys.json")), refresh: refresh), algorithms: algorithms)
    return TokenVerifier(
      configuration, keys: KeyRing(configuration, server: nil, log: .quiet, leastPause: leastPause))
  }

  private func verdict(_ verifier: TokenVerifier, _ token: String) async -> String {
    switch await verifier.verify(token) {
    case .identity(let identity): identity.user
    case .refused(let refusal): refusal.answer.text
    case .unavailable: "unavailable"
    case .anonymous, .awaited: "impossible"
    }
  }

  private func token(_ maker: TokenMaker, named name: String?) throws -> String {
    try maker.token(claims, header: name.map { #"{"alg":"ES256","kid":"\#($0)"}"# })
  }

  @Test func `a key is chosen by its name`() async throws {
    let (first, second) = (try await TokenMaker(.es256), try await TokenMaker(.es256))
    try write([first.jwk(named: "a"), second.jwk(named: "b")])
    let verifier = verifier()
    #expect(await verdict(verifier, try token(first, named: "a")) == "5")
    #expect(await verdict(verifier, try token(second, named: "b")) == "5")
    #expect(await verdict(verifier, try token(second, named: "a")) == "the signature of the token is wrong")
    #expect(await verdict(verifier, try token(second, named: "c")) == "the key of the token is not known")
    // Without a name all are tried.
    #expect(await verdict(verifier, try token(second, named: nil)) == "5")
    let other = try await TokenMaker(.es256)
    #expect(await verdict(verifier, try token(other, named: nil)) == "the signature of the token is wrong")
  }

  @Test func `an unknown name makes the set be read anew`() async throws {
    let (old, new) = (try await TokenMaker(.es256), try await TokenMaker(.es256))
    try write([old.jwk(named: "old")])
    let verifier = verifier()
    #expect(await verdict(verifier, try token(old, named: "old")) == "5")
    try write([new.jwk(named: "new")])
    // Until it is due, what was read stays.
    #expect(await verdict(verifier, try token(old, named: "old")) == "5")
    #expect(await verdict(verifier, try token(new, named: "new")) == "5")
    #expect(await verdict(verifier, try token(old, named: "old")) == "the key of the token is not known")
  }

  @Test func `names that nobody knows do not make the set be read all the time`() async throws {
    let (old, new) = (try await TokenMaker(.es256), try await TokenMaker(.es256))
    try write([old.jwk(named: "old")])
    let verifier = verifier(leastPause: .seconds(3600))
    #expect(await verdict(verifier, try token(old, named: "old")) == "5")
    try write([new.jwk(named: "new")])
    #expect(await verdict(verifier, try token(new, named: "new")) == "the key of the token is not known")
  }

  @Test(.bug(id: "same-key-name"), arguments: ["a", nil])
  func `a set with another key under the same name, or without one, is read when a signature is wrong`(
    _ name: String?
  ) async throws {
    let (old, new) = (try await TokenMaker(.es256), try await TokenMaker(.es256))
    try write([old.jwk(named: "a")])
    let verifier = verifier()
    #expect(await verdict(verifier, try token(old, named: name)) == "5")
    try write([new.jwk(named: "a")])
    #expect(await verdict(verifier, try token(new, named: name)) == "5")
    #expect(await verdict(verifier, try token(old, named: name)) == "the signature of the token is wrong")
  }

  @Test func `wrong signatures do not make the set be read all the time`() async throws {
    let (old, new) = (try await TokenMaker(.es256), try await TokenMaker(.es256))
    try write([old.jwk(named: "a")])
    let verifier = verifier(leastPause: .seconds(3600))
    #expect(await verdict(verifier, try token(old, named: "a")) == "5")
    try write([new.jwk(named: "a")])
    #expect(await verdict(verifier, try token(new, named: "a")) == "the signature of the token is wrong")
    #expect(await verdict(verifier, try token(old, named: "a")) == "5")
  }

  @Test func `a set that is due is read anew`() async throws {
    let (old, new) = (try await TokenMaker(.es256), try await TokenMaker(.es256))
    try write([old.jwk(named: "old")])
    let verifier = verifier(refresh: .zero)
    #expect(await verdict(verifier, try token(old, named: "old")) == "5")
    try write([new.jwk(named: "new")])
    #expect(await verdict(verifier, try token(old, named: "old")) == "the key of the token is not known")
  }

  @Test func `the last good set is kept`() async throws {
    let maker = try await TokenMaker(.es256)
    try write([maker.jwk(named: "a")])
    let verifier = verifier(refresh: .zero)
    #expect(await verdict(verifier, try token(maker, named: "a")) == "5")
    for text in ["", "{}", #"{"keys":[]}"#, #"{"keys":[{"kty":"oct","k":"AAAA"}]}"#] {
      try folder.write(text, as: "keys.json")
      #expect(await verdict(verifier, try token(maker, named: "a")) == "5", "\(text)")
    }
    try FileManager.default.removeItem(atPath: folder.path("keys.json"))
    #expect(await verdict(verifier, try token(maker, named: "a")) == "5")
  }

  @Test func `while the set cannot be read, an unknown key may be a new one`() async throws {
    let (old, new) = (try await TokenMaker(.es256), try await TokenMaker(.es256))
    try write([old.jwk(named: "old")])
    let verifier = verifier()
    #expect(await verdict(verifier, try token(old, named: "old")) == "5")
    try folder.write("<!doctype html>", as: "keys.json")
    #expect(await verdict(verifier, try token(new, named: "new")) == "unavailable")
    #expect(await verdict(verifier, try token(old, named: "old")) == "5")
    try write([old.jwk(named: "old")])
    #expect(await verdict(verifier, try token(new, named: "new")) == "the key of the token is not known")
    try write([new.jwk(named: "new")])
    #expect(await verdict(verifier, try token(new, named: "new")) == "5")
  }

  @Test func `without any set nothing is known`() async throws {
    let maker = try await TokenMaker(.es256)
    #expect(await verdict(verifier(), try token(maker, named: "a")) == "unavailable")
  }

  @Test func `a key is used for what it is`() async throws {
    let maker = try await TokenMaker(.es256)
    let jwk = maker.jwk(named: "a").dropLast()
    let good = try token(maker, named: "a")
    for (members, isGood) in [
      ("", true), (#","alg":"ES256""#, true), (#","use":"sig""#, true), (#","key_ops":["verify"]"#, true),
      (#","alg":"ES384""#, false), (#","alg":"RS256""#, false), (#","alg":"HS256""#, false),
      (#","alg":"none""#, false),
      (#","use":"enc""#, false), (#","key_ops":["sign"]"#, false),
    ] {
      try write(["\(jwk)\(members)}"])
      #expect(await verdict(verifier(), good) == (isGood ? "5" : "unavailable"), "\(members)")
    }
    try write([maker.jwk(named: "a")])
    #expect(
      await verdict(verifier(algorithms: [.rs256]), good) == "the algorithm of the token is not accepted")
  }

  /// A set cannot bring in a shared secret, whoever answers for it.
  @Test func `a set has no secrets`() async throws {
    let maker = try await TokenMaker(.es256)
    let forger = try await TokenMaker(.hs256)
    let secret = TokenMaker.encode(TokenMaker.secret)
    try write([maker.jwk(named: "a"), #"{"kty":"oct","kid":"s","alg":"HS256","k":"\#(secret)"}"#])
    let token = try forger.token(claims, header: #"{"alg":"HS256","kid":"s"}"#)
    #expect(await verdict(verifier(), token) == "the algorithm of the token is not accepted")
  }
}
