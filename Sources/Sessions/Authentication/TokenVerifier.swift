import Consumers
import FoundationEssentials
import GatewayConfig
import JWTKit
import Transport

/// Verifies tokens, and finds the identity in them.
struct TokenVerifier: Sendable {
  let configuration: JWTConfiguration
  private let ring: KeyRing
  let rules: ClaimRules
  private let late: LateExpiries?

  init(_ configuration: JWTConfiguration, keys: KeyRing, late: LateExpiries? = nil) {
    self.configuration = configuration
    self.late = late
    ring = keys
    rules = ClaimRules(configuration)
  }

  var keyServer: UpstreamFetcher? { ring.server }

  /// - Parameter now: seconds since 1970.
  func verify(_ text: String, at now: Double = WallClock.secondsSinceEpoch) async -> Authentication {
    do throws(TokenFault) {
      let token = try SignedToken(text)
      try checkAlgorithm(of: token)
      guard try await signer(of: token) != nil else { return .unavailable }
      let identity = try rules.identity(try token.claims(), at: now)
      late?.check(identity.expires)
      return .identity(identity)
    } catch {
      return .refused(.badToken(error.reason, detail: error.detail))
    }
  }

  func checkAlgorithm(of token: SignedToken) throws(TokenFault) {
    guard accepted?.contains(token.algorithm) ?? (token.algorithm.keyKind != .secret) else {
      let wanted = accepted?.map(\.rawValue).joined(separator: " or ") ?? "an algorithm of a public key"
      throw TokenFault(
        "the algorithm of the token is not accepted",
        detail: "its alg is \(token.algorithm.rawValue), and \(wanted) is accepted")
    }
  }

  /// The key that has made the signature.
  ///
  /// - Returns: nil if no key set has been read yet.
  /// - Throws: if it is none of the keys.
  func signer(of token: SignedToken) async throws(TokenFault) -> KeyRing.Key? {
    var lookup = await ring.keys(named: token.keyName, for: token.algorithm)
    var signer = token.signer(among: lookup)
    if signer == nil, case .keys(_, let reading) = lookup,
      let newer = await ring.keys(named: token.keyName, for: token.algorithm, after: reading)
    {
      lookup = newer
      signer = token.signer(among: newer)
    }
    switch lookup {
    case .unavailable: return nil
    case .unknownKey: throw TokenFault("the key of the token is not known")
    case .keys:
      guard let signer else { throw TokenFault("the signature of the token is wrong") }
      return signer
    }
  }

  /// Nil for all algorithms of public keys: each key of a set names its own use.
  private var accepted: [SignatureAlgorithm]? {
    if let algorithms = configuration.algorithms { return algorithms }
    return switch configuration.keys {
    case .key(let key): [key.kind.standardAlgorithm]
    case .set: nil
    }
  }
}

extension SignedToken {
  /// The key that has made the signature; nil if none of them has. Some verifiers throw for a signature of the wrong length, which
  /// simply does not match.
  fileprivate func signer(among lookup: KeyRing.Lookup) -> KeyRing.Key? {
    guard case .keys(let keys, _) = lookup else { return nil }
    return keys.first { (try? $0.verifier.verify(signature, signs: signed)) == true }
  }
}
