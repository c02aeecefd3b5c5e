import Bytes
import GatewayConfig
package import Routing
package import WebSocketCore

/// The parts of a request that can contain a client's credentials.
package struct Credentials: Sendable {
  /// All fields of the request, with names in lower case.
  var fields: [HeaderField]
  /// The text after the `?`, as it was sent.
  var query: String?
  /// The subprotocols that a handshake offers.
  var subprotocols: [String] = []
  /// The `Host` field.
  var host: String
  var client: Client
  /// What the path captured.
  var captures = Captures()
  /// Whether a message may contain the token if the request has none.
  var takesMessage = false

  /// The prefix of a token in a subprotocol.
  static let subprotocolMark = "bearer."

  enum Found: Equatable {
    case nothing
    case token(String)
    /// One place has several tokens, so that two servers could use different ones.
    case several
  }

  /// The token in the first of the places that has one.
  func token(from sources: [TokenSource]) -> Found {
    for source in sources {
      let tokens = tokens(in: source)
      if tokens.count > 1 { return .several }
      if let token = tokens.first { return .token(token) }
    }
    return .nothing
  }

  private func tokens(in source: TokenSource) -> [String] {
    switch source {
    case .header: fields.values(of: "authorization").compactMap(BearerToken.read)
    case .cookie(let name): Self.values(of: name, in: cookies)
    // A valid token needs no percent-encoding. One that has it is refused later.
    case .query(let name): Self.values(of: name, in: NamedValue.parameters(of: query))
    case .subprotocol:
      subprotocols.compactMap {
        $0.hasPrefix(Self.subprotocolMark) ? String($0.dropFirst(Self.subprotocolMark.count)) : nil
      }
    case .message: []
    }
  }

  var cookies: [NamedValue] { fields.values(of: "cookie").flatMap(NamedValue.cookies) }

  private static func values(of name: String, in list: [NamedValue]) -> [String] {
    list.compactMap { item in
      guard item.isNamed(name), let value = item.value, !value.isEmpty else { return nil }
      return String(value)
    }
  }
}

extension Credentials {
  /// Those of a request that is no handshake.
  package init(
    inFields fields: [HeaderField], query: String?, host: String, client: Client, captures: Captures
  ) {
    self.init(fields: fields, query: query, host: host, client: client, captures: captures)
  }
}
