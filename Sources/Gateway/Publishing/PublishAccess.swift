import Consumers
import GatewayConfig
import HTTPTypes
import Hummingbird

/// Who may use a `publish` route: whoever shows one of its tokens, or has shown who they are.
struct PublishAccess: Sendable {
  private let tokens: [[UInt8]]
  private let isAnonymous: Bool

  init(_ configuration: PublishConfiguration) {
    tokens = configuration.tokens.map { Array($0.utf8) }
    isAnonymous = configuration.isAnonymous
  }

  /// - Returns: who asks; nil where it is known only that they may.
  /// - Throws: 401 (RFC 6750 section 3).
  func check(_ request: Request) throws(PublishRefusal) -> Identity? {
    guard !isAnonymous else { return nil }
    guard let token = Self.token(of: request) else {
      throw PublishRefusal(
        .unauthorized, "this needs a token: Authorization: Bearer TOKEN",
        fields: [.wwwAuthenticate: #"Bearer realm="sluice""#])
    }
    // Every token is compared to its end, so that the time tells nothing.
    var isKnown = false
    for known in tokens where Self.isEqual(token, known) { isKnown = true }
    guard isKnown else {
      throw PublishRefusal(
        .unauthorized, "the token is not one of this route",
        fields: [.wwwAuthenticate: #"Bearer realm="sluice", error="invalid_token""#])
    }
    return nil
  }

  /// RFC 6750 section 2.1. Two fields, or another scheme, are no token.
  private static func token(of request: Request) -> [UInt8]? {
    let fields = request.headers[values: .authorization]
    guard fields.count == 1 else { return nil }
    let parts = fields[0].split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
    return Array(parts[1].utf8).drop { $0 == UInt8(ascii: " ") }.map(\.self)
  }

  /// Takes as long as what was sent is, whatever it is.
  static func isEqual(_ sent: [UInt8], _ known: [UInt8]) -> Bool {
    guard !known.isEmpty else { return false }
    var difference = sent.count ^ known.count
    for index in sent.indices { difference |= Int(sent[index] ^ known[index % known.count]) }
    return difference == 0
  }
}
