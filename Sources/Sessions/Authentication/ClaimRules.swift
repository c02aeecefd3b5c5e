import Consumers
import GatewayConfig
import JSON
import Routing

/// Checks the claims of a token (RFC 7519 section 4.1), and finds its user.
struct ClaimRules: Sendable {
  private let audiences: [String]
  private let issuers: [String]
  /// Seconds.
  private let leeway: Double
  let users: [String]
  private let userType: UserType?
  /// What ends the identity of a session.
  private let end: End

  private enum End {
    case token
    case nothing
    /// Seconds after the token was verified.
    case age(Double)
  }

  /// Simple JWT's access and sliding tokens, and the word that OAuth servers use. Simple JWT's refresh tokens are signed with
  /// the same key, but are only for getting other tokens.
  private static let tokenTypes = ["access", "sliding", "bearer"]

  init(_ configuration: JWTConfiguration) {
    audiences = configuration.audiences
    issuers = configuration.issuers
    leeway = configuration.leeway / .seconds(1)
    users = configuration.userClaims
    userType = configuration.userType
    end =
      switch configuration.expiry {
      case .close, .renew: .token
      case .keep: configuration.maxAge.map { .age($0 / .seconds(1)) } ?? .nothing
      }
  }

  /// - Parameter now: seconds since 1970.
  func identity(_ claims: JSON, at now: Double) throws(TokenFault) -> Identity {
    let expires = try expiry(in: claims, at: now)
    try checkStart(claims, at: now)
    try checkIssue(claims, at: now)
    try checkAudience(claims["aud"])
    try checkIssuer(claims["iss"])
    try checkType(claims["token_type"])
    let ends: Double? =
      switch end {
      case .token: expires + leeway
      case .nothing: nil
      case .age(let seconds): now + seconds
      }
    return Identity(user: try user(in: claims), claims: claims, expires: ends)
  }

  /// - Returns: `exp`, in seconds since 1970.
  func expiry(in claims: JSON, at now: Double) throws(TokenFault) -> Double {
    guard let expires = try claims.time("exp") else { throw TokenFault("the token has no expiry (exp)") }
    guard now < expires + leeway else { throw TokenFault("the token has expired") }
    return expires
  }

  func checkStart(_ claims: JSON, at now: Double) throws(TokenFault) {
    guard let start = try claims.time("nbf"), start > now + leeway else { return }
    throw TokenFault("the token is not valid yet")
  }

  func checkIssue(_ claims: JSON, at now: Double) throws(TokenFault) {
    guard let issued = try claims.time("iat"), issued > now + leeway else { return }
    throw TokenFault("the token was issued in the future")
  }

  func checkType(_ claim: JSON?) throws(TokenFault) {
    guard let claim else { return }
    guard case .string(let type) = claim, Self.tokenTypes.contains(type.lowercased()) else {
      throw TokenFault("the token is not an access token (token_type)")
    }
  }

  func user(in claims: JSON) throws(TokenFault) -> String {
    guard let user = claims.userName(among: users, as: userType) else {
      let isOfOtherType = userType != nil && claims.userName(among: users) != nil
      throw TokenFault(
        isOfOtherType
          ? "the token names its user in another form than this server takes"
          : "the token has no claim that names its user",
        detail: claims.whyNoUser(among: users, as: userType))
    }
    return user
  }

  /// RFC 7519 section 4.1.3: a token with an audience is refused by everyone else.
  func checkAudience(_ claim: JSON?) throws(TokenFault) {
    let named: [JSON] =
      switch claim {
      case nil, .null?: []
      case .array(let all)?: all
      case let one?: [one]
      }
    if audiences.isEmpty, named.isEmpty { return }
    guard named.contains(where: { audiences.map(JSON.string).contains($0) }) else {
      throw TokenFault("the token is for another audience", detail: whyNotFor(named))
    }
  }

  private func whyNotFor(_ named: [JSON]) -> String {
    if audiences.isEmpty {
      return
        "the token has an aud, and \"jwt\" names no \"audience\": write the one that tokens for Sluice have"
    }
    let wanted = audiences.joined(separator: " or ")
    return named.isEmpty
      ? "the token has no aud, and \"audience\" requires \(wanted)"
      : "the aud of the token does not contain \(wanted), which \"audience\" requires"
  }

  func checkIssuer(_ claim: JSON?) throws(TokenFault) {
    if issuers.isEmpty { return }
    guard case .string(let issuer)? = claim, issuers.contains(issuer) else {
      throw TokenFault(
        "the token is from another issuer",
        detail:
          "the iss of the token \(claim == nil ? "is missing" : "is another one"), and \"issuer\" requires \(issuers.joined(separator: " or "))"
      )
    }
  }
}

extension JSON {
  /// A claim that is a NumericDate (RFC 7519 section 2): seconds since 1970.
  ///
  /// - Returns: nil if the claim is missing.
  func time(_ claim: String) throws(TokenFault) -> Double? {
    switch self[claim] {
    case nil: nil
    case .integer(let value)?: Double(value)
    case .unsigned(let value)?: Double(value)
    case .double(let value)?: value
    default: throw TokenFault("the claim \(claim) is not a time")
    }
  }

  /// The text of the first of the members that is present: a name, or a number.
  ///
  /// - Returns: nil if it is neither, is empty, is too long for a name, or is not of the type.
  func userName(among names: [String], as type: UserType? = nil) -> String? {
    let text: String? =
      switch names.lazy.compactMap({ claim($0) }).first(where: { $0 != .null }) {
      case .string(let text)?: text
      case .integer(let number)?: String(number)
      case .unsigned(let number)?: String(number)
      default: nil
      }
    guard let text, (1...255).contains(text.utf8.count), type?.admits(text) != false else { return nil }
    return text
  }
}
