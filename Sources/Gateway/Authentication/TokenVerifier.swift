import Consumers
import FoundationEssentials
import GatewayConfig
import JWTKit
import Transport

/// Says whose token it is, if it is a good one.
struct TokenVerifier: Sendable {
  let configuration: JWTConfiguration
  private let ring: KeyRing
  private let rules: ClaimRules

  init(_ configuration: JWTConfiguration, keys: KeyRing) {
    self.configuration = configuration
    ring = keys
    rules = ClaimRules(configuration)
  }

  /// - Parameter now: seconds since 1970.
  func verify(_ text: String, at now: Double = WallClock.secondsSinceEpoch) async -> Authentication {
    do throws(TokenFault) {
      let token = try SignedToken(text)
      guard isAllowed(token.algorithm) else {
        throw TokenFault("the algorithm of the token is not accepted")
      }
      switch await ring.keys(named: token.keyName, for: token.algorithm) {
      case .unavailable: return .unavailable
      case .unknownKey: throw TokenFault("the key of the token is not known")
      case .keys(let keys):
        // A signature of another length is an error to some, and a wrong one all the same.
        let isSigned = keys.contains { (try? $0.verify(token.signature, signs: token.signed)) == true }
        guard isSigned else { throw TokenFault("the signature of the token is wrong") }
      }
      return .identity(try rules.identity(try token.claims(), at: now))
    } catch {
      return .refused(.badToken(error.reason))
    }
  }

  private func isAllowed(_ algorithm: SignatureAlgorithm) -> Bool {
    if let algorithms = configuration.algorithms { return algorithms.contains(algorithm) }
    return switch configuration.keys {
    case .key(let key): algorithm == key.kind.standardAlgorithm
    // Each key of a set says what it is for.
    case .set: algorithm.keyKind != .secret
    }
  }
}
