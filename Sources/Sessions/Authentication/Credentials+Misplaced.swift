import Bytes
import GatewayConfig
import WebSocketCore

extension Credentials {
  /// What is wrong with the way in which the client seems to send a token. For a request in which `token(from:)` has found
  /// nothing.
  ///
  /// - Parameter schemes: of `Authorization`; at least one.
  /// - Returns: nil if nothing looks like a token. The text contains nothing of the request but the name of a known scheme.
  func misplacedToken(for sources: [TokenSource], schemes: [String] = ["Bearer"]) -> String? {
    let faults = [headerFault(sources, schemes), subprotocolFault(sources), queryFault(sources), cookieFault]
    let found = faults.compactMap(\.self)
    return found.isEmpty ? nil : found.joined(separator: "; ")
  }

  /// Schemes of tokens and passwords, which may be named because they are no part of a secret.
  private static let knownSchemes = [
    "Bearer", "Token", "JWT", "Knox", "Basic", "Digest", "DPoP", "Negotiate", "ApiKey", "Api-Key",
  ]

  private func headerFault(_ sources: [TokenSource], _ schemes: [String]) -> String? {
    guard let value = fields.values(of: "authorization").first else { return nil }
    func begins(with scheme: String) -> Bool { value.beginsIgnoringCase(with: scheme.lowercased() + " ") }
    guard sources.contains(.header) else {
      return schemes.contains(where: begins)
        ? #"Authorization has a token, and "from" does not name "header""# : nil
    }
    let bare = schemes.first { begins(with: $0) || value.lowercased() == $0.lowercased() }
    if let bare { return "Authorization has no token behind \"\(bare)\"" }
    if let other = Self.knownSchemes.first(where: begins) {
      let wanted = schemes.map { "\"\($0)\"" }.joined(separator: " or ")
      return "Authorization has the scheme \"\(other)\", and \(wanted) is expected"
    }
    let wanted = schemes.map { "\"\($0) \"" }.joined(separator: " or ")
    return "Authorization does not begin with \(wanted)"
  }

  private func subprotocolFault(_ sources: [TokenSource]) -> String? {
    let hasToken = subprotocols.contains { offer in
      offer.beginsIgnoringCase(with: BearerToken.scheme) || Self.isSignedToken(offer)
    }
    guard hasToken else { return nil }
    return sources.contains(.subprotocol)
      ? "a subprotocol looks like a token: write bearer.TOKEN"
      : #"a subprotocol has a token, and "from" does not name "subprotocol""#
  }

  /// Parameters that usually hold a token.
  private static let usualParameters: Set<Substring> = [
    "token", "access_token", "auth_token", "id_token", "jwt", "auth", "bearer",
  ]

  private func queryFault(_ sources: [TokenSource]) -> String? {
    let hasToken = NamedValue.parameters(of: query).contains { parameter in
      guard let value = parameter.value else { return false }
      return Self.isSignedToken(value)
        || !value.isEmpty && parameter.name.utf8.count <= 16 && Self.usualParameters.contains(parameter.name)
    }
    guard hasToken else { return nil }
    return sources.contains { if case .query = $0 { true } else { false } }
      ? #"the query has a token, and "from" names another parameter"#
      : #"the query has a token, and "from" does not name the query"#
  }

  private var cookieFault: String? {
    let hasToken = cookies.contains { $0.value.map(Self.isSignedToken) ?? false }
    return hasToken ? #"a cookie has a token, and "from" does not name that cookie"# : nil
  }

  /// Whether it has the form of a JSON Web Token (RFC 7519 section 3.1): `{"` in base64, and three parts.
  private static func isSignedToken(_ text: some StringProtocol) -> Bool {
    text.utf8.starts(with: "eyJ".utf8) && text.utf8.count { $0 == UInt8(ascii: ".") } == 2
  }
}
