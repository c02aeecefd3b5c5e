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
    guard sources.contains(.header) else {
      return Self.begins(value, with: "bearer ")
        ? #"Authorization has a token, and "from" does not name "header""# : nil
    }
    return Self.begins(value, with: "bearer ")
      || value.utf8.count == "bearer".utf8.count
        && Self.begins(value, with: "bearer")
      ? #"Authorization has no token behind "Bearer""# : #"Authorization does not begin with "Bearer ""#
  }

  private func subprotocolFault(_ sources: [TokenSource]) -> String? {
    guard subprotocols.contains(where: { Self.begins($0, with: "bearer") || Self.isSignedToken($0) }) else {
      return nil
    }
    return sources.contains(.subprotocol)
      ? "a subprotocol looks like a token: write bearer.TOKEN"
      : #"a subprotocol has a token, and "from" does not name "subprotocol""#
  }

  /// Parameters that usually hold a token.
  private static let usualParameters: Set<Substring> = [
    "token", "access_token", "auth_token", "id_token", "jwt", "auth", "bearer",
  ]

  private func queryFault(_ sources: [TokenSource]) -> String? {
    let hasToken = (query ?? "").split(separator: "&").contains { pair in
      guard let mark = pair.utf8.firstIndex(of: UInt8(ascii: "=")) else { return false }
      let value = pair[pair.utf8.index(after: mark)...]
      let name = pair[..<mark]
      return Self.isSignedToken(value)
        || !value.isEmpty && name.utf8.count <= 16 && Self.usualParameters.contains(name)
    }
    guard hasToken else { return nil }
    return sources.contains { if case .query = $0 { true } else { false } }
      ? #"the query has a token, and "from" names another parameter"#
      : #"the query has a token, and "from" does not name the query"#
  }

  private var cookieFault: String? {
    let hasToken = fields.values(of: "cookie").flatMap { $0.split(separator: ";") }.contains { pair in
      pair.utf8.firstIndex(of: UInt8(ascii: "=")).map { mark in
        Self.isSignedToken(pair[pair.utf8.index(after: mark)...])
      } ?? false
    }
    return hasToken ? #"a cookie has a token, and "from" does not name that cookie"# : nil
  }

  /// - Parameter word: in lower case.
  private static func begins(_ text: String, with word: String) -> Bool {
    let start = text.utf8.prefix(word.utf8.count)
    return word.utf8.elementsEqual(start.map { (65...90).contains($0) ? $0 | 0x20 : $0 })
  }

  /// Whether it has the form of a JSON Web Token (RFC 7519 section 3.1): `{"` in base64, and three parts.
  private static func isSignedToken(_ text: some StringProtocol) -> Bool {
    text.utf8.starts(with: "eyJ".utf8) && text.utf8.count { $0 == UInt8(ascii: ".") } == 2
  }
}
