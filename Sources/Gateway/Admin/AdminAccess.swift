import GatewayConfig
import Glibc
import JSON
import Logging
import Sessions
import Transport

/// Who may give orders: over a Unix socket root and the user of the process, over the loopback whoever knows the token.
struct AdminAccess: Sendable {
  /// Of the loopback address; nil where there is none.
  private let token: [UInt8]?
  private let user: UInt32
  private let pace = SharedLogPace(most: 4)

  init(_ address: AdminAddress, user: UInt32 = geteuid()) {
    self.user = user
    token =
      switch address {
      case .loopback(_, _, let token): token.bytes
      case .standard, .unix, .nowhere: nil
      }
  }

  /// - Returns: nil where the request is carried out.
  func refusal(of request: AdminRequest, from asker: Asker) -> AdminAnswer? {
    switch asker {
    case .process(let peer):
      // The mode of the file keeps them out already; it may have been changed.
      guard peer.user == 0 || peer.user == user else {
        return .refused(
          403, "foreign-user",
          "the gateway runs as the user \(user), and this request is of the user \(peer.user): only that user and root may ask"
        )
      }
      return nil
    case .token:
      let sent = Array((request.token ?? "").utf8)
      guard let token, PublishAccess.isEqual(sent, token) else {
        let needed = "this address needs the token of server.admin, as \"Authorization: Bearer TOKEN\""
        return .refused(401, "token", request.token == nil ? needed : "the token is another one")
      }
      return nil
    case .signal: return nil
    }
  }

  /// Notes an answer that somebody gets who may not ask for that, or for anything.
  func tell(_ answer: AdminAnswer, to asker: Asker, _ log: Logger) {
    guard [401, 403].contains(answer.status) else { return }
    log.log(
      "somebody who may not give orders has tried to", at: .warning, paced: pace,
      ["asked-by": "\(asker)", "refusal": "\(answer.body["code"]?.string ?? "")"])
  }
}
