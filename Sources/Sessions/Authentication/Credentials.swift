import Bytes
import GatewayConfig
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
  /// Whether a message may contain the token if the request has none.
  var takesMessage = false
  /// What the client has asked for.
  var request = RequestPlace()

  /// The prefix of a token in a subprotocol.
  static let subprotocolMark = "bearer."

  enum Found: Equatable {
    case nothing
    case token(String)
    /// One place has several tokens, so that two servers could use different ones.
    case several
    /// Two places have different tokens.
    case different
  }

  /// The token in the places where it may be.
  ///
  /// - Parameters:
  ///   - schemes: of `Authorization`.
  ///   - isDecoded: whether a token in the query may be percent-encoded. A signed token needs no such encoding, and one that has it is
  ///     refused later.
  func token(
    from sources: [TokenSource], schemes: [String] = ["Bearer"], isDecoded: Bool = false
  ) -> Found {
    var found: String?
    for source in sources {
      let tokens = tokens(in: source, schemes, isDecoded: isDecoded)
      if tokens.count > 1 { return .several }
      guard let token = tokens.first else { continue }
      if let found, ExactText(text: found) != ExactText(text: token) { return .different }
      found = token
    }
    return found.map(Found.token) ?? .nothing
  }

  private func tokens(in source: TokenSource, _ schemes: [String], isDecoded: Bool) -> [String] {
    switch source {
    case .header:
      fields.values(of: "authorization").compactMap { field in
        schemes.lazy.compactMap { BearerToken.read(field, scheme: $0.lowercased()) }.first
      }
    case .cookie(let name): Self.values(of: name, in: cookies)
    case .query(let name):
      Self.values(of: name, in: NamedValue.parameters(of: query)).map { value in
        guard isDecoded else { return value }
        // What cannot be decoded is a token that no view accepts.
        return PercentEncoding.decode(value.utf8).map { String(decoding: $0, as: UTF8.self) } ?? "\u{FFFD}"
      }
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
    inFields fields: [HeaderField], query: String?, host: String, client: Client, request: RequestPlace
  ) {
    self.init(fields: fields, query: query, host: host, client: client, request: request)
  }

  /// The fields of a question to a view about the client: those that the file names, and Sluice's own.
  ///
  /// - Parameter parameters: of the query, which may hold a token and are not shown.
  func fields(
    for question: QuestionConfiguration, withoutParameters parameters: [String]
  ) -> [HeaderField] {
    let shown = fields.filter { question.headers.contains($0.name) }
    return [
      HeaderField(name: "Host", value: question.url.hostField(of: host)),
      HeaderField(name: "Accept", value: "application/json"),
    ] + shown + ForwardedHeaders.added(host: host, client: client) + [
      HeaderField(name: "X-Forwarded-Method", value: request.method),
      HeaderField(name: "X-Forwarded-Uri", value: request.uri(without: parameters)),
    ]
  }
}
