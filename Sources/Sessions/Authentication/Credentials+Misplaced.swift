import Bytes
import GatewayConfig
import WebSocketCore

extension Credentials {
  /// What is wrong with the way in which the client seems to send a token. For a request in which `token(from:)` has found
  /// nothing.
  ///
  /// - Returns: nil if nothing looks like a token. The text contains nothing of the request.
  func misplacedToken(for sources: [TokenSource]) -> String? {
    let faults = [headerFault(sources), subprotocolFault(sources), queryFault(sources), cookieFault]
    let found = faults.compactMap(\.self)
    return found.isEmpty ? nil : found.joined(separator: "; ")
  }

  private func headerFault(_ sources: [TokenSource]) -> String? {
    guard let value = fields.values(of: "authorization").first else { return nil }
    let hasScheme = value.beginsIgnoringCase(with: BearerToken.scheme + " ")
    guard sources.contains(.header) else {
      return hasScheme ? #"Authorization has a token, and "from" does not name "header""# : nil
    }
    let isScheme = value.utf8.count == BearerToken.scheme.utf8.count
    return hasScheme || isScheme && value.beginsIgnoringCase(with: BearerToken.scheme)
      ? #"Authorization has no token behind "Bearer""# : #"Authorization does not begin with "Bearer ""#
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
