import Bytes
import Consumers
package import GatewayConfig
import JSON
package import Logging
package import NIOCore

/// What an authenticator says of one token, check by check: for `sluice token check`.
///
/// The checks are those that a client's token passes. Nothing of a key is told but its name.
package struct TokenReport: Sendable, Equatable {
  /// One check, or one fact.
  package struct Line: Sendable, Equatable {
    package var name: String
    /// Nil for a fact that nothing depends on.
    package var holds: Bool?
    package var text: String
  }

  package private(set) var lines: [Line] = []
  /// Whether every check holds.
  package var isAccepted: Bool { lines.allSatisfy { $0.holds != false } }

  /// - Parameters:
  ///   - loops: for a key set that is fetched.
  ///   - log: gets a line if the set cannot be read.
  ///   - now: seconds since 1970.
  /// - Returns: nil for an authenticator without tokens.
  package static func of(
    _ text: String, by authenticator: AuthenticatorConfiguration, on loops: any EventLoopGroup, log: Logger,
    at now: Double
  ) async throws -> TokenReport? {
    guard case .jwt(let jwt) = authenticator.kind else { return nil }
    let made = Authenticator(authenticator, on: loops, failures: UpstreamFailures(log: log), log: log)
    guard case .tokens(let verifier) = made else { return nil }
    var report = TokenReport()
    await report.check(text, by: verifier, jwt, at: now)
    try await made.server?.shutDown()
    return report
  }

  private mutating func check(
    _ text: String, by verifier: TokenVerifier, _ jwt: JWTConfiguration, at now: Double
  ) async {
    let token: SignedToken
    do throws(TokenFault) {
      token = try SignedToken(text)
    } catch {
      return add("token", false, Self.words(error))
    }
    attempt("algorithm") { () throws(TokenFault) in
      try verifier.checkAlgorithm(of: token)
      return token.algorithm.rawValue
    }
    await checkSignature(of: token, by: verifier, jwt)
    do throws(TokenFault) {
      check(try token.claims(), verifier.rules, at: now)
    } catch {
      add("claims", false, Self.words(error))
    }
  }

  private mutating func checkSignature(
    of token: SignedToken, by verifier: TokenVerifier, _ jwt: JWTConfiguration
  ) async {
    // A key must not be tried with an algorithm that is not its own.
    guard isAccepted else { return }
    do throws(TokenFault) {
      if let key = try await verifier.signer(of: token) {
        add("signature", true, "made with \(jwt.keys.words(for: key.name))")
      } else {
        add("signature", false, "not checked: the key set was not read")
      }
    } catch {
      let name = token.keyName.map { " (the token names the key \"\($0.printable)\")" } ?? ""
      add("signature", false, Self.words(error) + name)
    }
  }

  private mutating func check(_ claims: JSON, _ rules: ClaimRules, at now: Double) {
    attempt("user") { () throws(TokenFault) in
      let user = try rules.user(in: claims)
      let claim = rules.users.first { claims.claim($0).map { $0 != .null } ?? false }
      return "\(user.printable), from the claim \(claim ?? "")"
    }
    attempt("exp") { () throws(TokenFault) in
      _ = try rules.expiry(in: claims, at: now)
      return ""
    }
    for (name, check) in [("nbf", rules.checkStart), ("iat", rules.checkIssue)] where claims[name] != nil {
      attempt(name) { () throws(TokenFault) in
        try check(claims, now)
        return ""
      }
    }
    tellTimes(of: claims, at: now)
    for (name, check) in [
      ("aud", rules.checkAudience), ("iss", rules.checkIssuer), ("token_type", rules.checkType),
    ] {
      let faults = count
      attempt(name) { () throws(TokenFault) in
        try check(claims[name])
        return claims[name]?.text.printable ?? ""
      }
      // A claim that is neither there nor needed is no news.
      if claims[name] == nil, faults == count { lines.removeLast() }
    }
    add("claims", nil, claims.text.printable)
  }

  /// How many checks do not hold.
  private var count: Int { lines.count { $0.holds == false } }

  /// Puts the date behind each check of a time.
  private mutating func tellTimes(of claims: JSON, at now: Double) {
    for place in lines.indices {
      guard let time = try? claims.time(lines[place].name) else { continue }
      let fault = lines[place].text
      lines[place].text = (fault.isEmpty ? "" : fault + ": ") + Self.words(forTime: time, at: now)
    }
  }

  /// `Sun, 29 Nov 2026 12:23:58 GMT, in 59m`
  private static func words(forTime time: Double, at now: Double) -> String {
    // A number of this size is most likely one of milliseconds.
    guard abs(time) < 253_402_300_800 else { return "after the year 9999" }
    let distance = Duration.seconds(Int64(abs(time - now)))
    return
      "\(HTTPDate.text(of: Int(time))), \(time >= now ? "in \(distance.about)" : "\(distance.about) ago")"
  }

  private mutating func attempt(_ name: String, _ check: () throws(TokenFault) -> String) {
    do throws(TokenFault) {
      add(name, true, try check())
    } catch {
      add(name, false, Self.words(error))
    }
  }

  private mutating func add(_ name: String, _ holds: Bool?, _ text: String) {
    lines.append(Line(name: name, holds: holds, text: text))
  }

  private static func words(_ fault: TokenFault) -> String {
    fault.reason + (fault.detail.map { " (\($0.printable))" } ?? "")
  }
}

extension JWTConfiguration.Keys {
  /// For a sentence: the key of this name.
  fileprivate func words(for name: String?) -> String {
    switch self {
    case .key(.secret): return "the secret"
    case .key: return "the public key"
    case .set(let place, _):
      let key = name.map { "the key \"\($0.printable)\"" } ?? "a key without a name"
      switch place {
      case .file(let path): return "\(key) of \(path.printable)"
      case .url(let url): return "\(key) of \(url.fixedURL.printable)"
      }
    }
  }
}

extension Duration {
  /// For people, with two units at most: `2d 3h`, `59m 20s`.
  fileprivate var about: String {
    var seconds = Int(self / .seconds(1))
    var parts: [String] = []
    for (unit, size) in [("d", 86400), ("h", 3600), ("m", 60), ("s", 1)]
    where parts.count < 2 && (seconds >= size || !parts.isEmpty) {
      let count = seconds / size
      seconds %= size
      // `5m` is enough for `5m 0s`.
      if count > 0 { parts.append("\(count)\(unit)") }
    }
    return parts.isEmpty ? "0s" : parts.joined(separator: " ")
  }
}
