import Bytes
import Consumers
import GatewayConfig
import Sessions
import Transport
import WebSocketCore

/// Decides which clients may use a `publish` route: those with one of its tokens, or authenticated ones.
struct PublishAccess: Sendable {
  private let tokens: [[UInt8]]
  /// Which sign the tokens of `protocol: grip`.
  private let secrets: [Secret]
  private let isAnonymous: Bool
  private let auth: RouteAuthenticator?

  /// The client of a request, as far as the route knows it.
  enum Client {
    /// The lane whose places and memory the client shares. It has used a token of the route, or is anonymous.
    case known(PublishLane)
    /// The client has to be authenticated, which takes its time.
    case unknown(RouteAuthenticator)
  }

  init(_ configuration: PublishConfiguration, _ auth: RouteAuthenticator?) {
    self.auth = auth
    tokens = configuration.tokens.map { Array($0.utf8) }
    secrets = configuration.secrets
    isAnonymous = configuration.isAnonymous
  }

  /// - Throws: 401 (RFC 6750 section 3).
  func client(of request: RequestHead) throws(PublishRefusal) -> Client {
    guard !isAnonymous else { return .known(.anonymous) }
    let token = Self.token(of: request)
    // Every token is compared completely, so that the time reveals nothing.
    var isKnown = false
    for known in tokens where Self.isEqual(token ?? [], known) { isKnown = true }
    if isKnown { return .known(.token) }
    if !secrets.isEmpty, let token {
      let text = String(decoding: token, as: UTF8.self)
      let fault = GripToken.fault(in: text, signedBy: secrets, at: WallClock.secondsSinceEpoch)
      guard let fault else { return .known(.token) }
      throw PublishRefusal(.publishTokenNotValid, fault, facts: ["hint": Self.hintAboutTokens])
    }
    if let auth { return .unknown(auth) }
    throw PublishRefusal(token == nil ? .publishNeedsToken : .publishTokenNotValid)
  }

  private static let hintAboutTokens =
    "\"secret\" has to be the key of the back end's GRIP_URL, which needs an iss too; and the clocks have to agree"

  /// - Throws: 401, 403, or what the view of a callback or a permission has answered.
  static func identity(_ outcome: Authentication) throws(PublishRefusal) -> Identity {
    switch outcome {
    case .identity(let identity): return identity
    case .anonymous, .awaited: throw PublishRefusal(.publishNeedsToken)
    case .refused(let refusal):
      let answer = refusal.answer
      let passed = answer.fields.filter {
        ["www-authenticate", "retry-after"].contains($0.name.lowercased())
      }
      let reason = refusal.misplaced.map { "\(answer.text): \($0)" } ?? answer.text
      let detail = refusal.misplaced == nil ? refusal.detail : nil
      throw PublishRefusal(
        answer.saying(reason).answering(answer.answerStatus, passed, body: []),
        facts: (detail.map { ["detail": $0] } ?? [:]).merging(refusal.asked?.names ?? [:]) { $1 })
    case .unavailable: throw PublishRefusal(.publishIdentityUnavailable)
    }
  }

  /// Two fields, or another scheme, count as no token.
  private static func token(of request: RequestHead) -> [UInt8]? {
    guard let field = request.fields.onlyValue(of: "authorization") else { return nil }
    return BearerToken.read(field).map { Array($0.utf8) }
  }

  /// Takes time in proportion to the sent token only.
  static func isEqual(_ sent: [UInt8], _ known: [UInt8]) -> Bool {
    guard !known.isEmpty else { return false }
    var difference = sent.count ^ known.count
    for index in sent.indices { difference |= Int(sent[index] ^ known[index % known.count]) }
    return difference == 0
  }
}
