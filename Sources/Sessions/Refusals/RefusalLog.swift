import GatewayConfig
import Logging
package import Transport
import WebSocketCore

/// Counts refused handshakes and writes a line for each, but at most a bounded number per second, because a scan or a storm of
/// connections must not fill the disk.
package final class RefusalLog: Sendable {
  private let process: ProcessState
  private let pace = SharedLogPace()

  package init(_ process: ProcessState) {
    self.process = process
  }

  /// - Parameters:
  ///   - target: the target of the request, if it could be read.
  ///   - facts: further fields of the line.
  package func record(
    _ refusal: HandshakeRefusal, target: [UInt8]?, peer: PeerAddress, _ facts: [String: String] = [:]
  ) {
    process.counters.refusals.up()
    process.log.tell(
      of: refusal.reason, target: target, peer: peer, paced: pace,
      facts.merging(details(of: refusal, target)) { fact, _ in fact })
  }

  private func details(of refusal: HandshakeRefusal, _ target: [UInt8]?) -> [String: String] {
    let hint =
      refusal.reason == .noRoute ? target.flatMap(process.served.application.webSocketRouteHint) : nil
    let code = refusal.handshake.map { _ in "\(refusal.reason.closeReason.code.rawValue)" }
    return ["code": code, "detail": refusal.detail, "hint": hint, "user": refusal.user]
      .compactMapValues(\.self).merging(refusal.asked?.names ?? [:]) { $1 }
  }

  /// A session is closed whose client has not shown who it is as its route wants it: what others are refused for before they are
  /// accepted.
  ///
  /// - Parameters:
  ///   - detail: what the operator is told beside the reason, and the client is not.
  ///   - asked: the view that has refused.
  ///   - user: whom an order keeps out.
  func record(
    _ reason: CloseReason, detail: String?, asked: UpstreamUser? = nil, user: String? = nil,
    target: [UInt8]?, peer: PeerAddress
  ) {
    process.counters.refusals.up()
    guard let level = reason.level else { return }
    process.log.log(
      "refused", at: level, paced: pace,
      [
        "code": "\(reason.code.rawValue)", "reason": "\(reason.text)", "peer": "\(peer)",
        "path": target.map { "\(Self.printable($0))" }, "detail": detail.map { "\($0)" },
        "user": user.map { "\($0)" },
      ].merging(asked.metadata) { $1 })
  }

  /// A view that was asked again about an open session does not let it stay.
  func ended(
    _ reason: CloseReason, route: String, target: [UInt8], peer: PeerAddress, asked: UpstreamUser? = nil
  ) {
    guard let level = reason.level else { return }
    process.log.log(
      "a view ended a session", at: level, paced: pace,
      [
        "code": "\(reason.code.rawValue)", "reason": "\(reason.text)", "route": "\(route)",
        "path": "\(Self.printable(target))", "peer": "\(peer)",
      ].merging(asked.metadata) { $1 })
  }

  /// The client speaks none of the route's subprotocols. It is accepted without one, and its library most likely ends the connection
  /// (RFC 6455 section 4.1).
  ///
  /// - Parameter offered: by the client, without those that are tokens.
  func noSubprotocol(offered: [String], known: [String], route: String, peer: PeerAddress) {
    process.log.log(
      "a client offered only subprotocols that its route does not support", at: .info, paced: pace,
      [
        "offered": "\(offered.joined(separator: ", "))", "route": "\(route)", "peer": "\(peer)",
        "hint": known.isEmpty
          ? "the route has no \"subprotocols\"" : "the route speaks \(known.joined(separator: ", "))",
      ])
  }

  /// The client offered only subprotocols that contain a token, and the route has no `auth`. It is accepted without a subprotocol,
  /// and a browser ends the connection.
  func tokenWithoutAuth(target: [UInt8]?, route: String, peer: PeerAddress) {
    process.log.log(
      "a client offered a token as a subprotocol, and its route has no \"auth\"", at: .info, paced: pace,
      [
        "route": "\(route)", "peer": "\(peer)", "path": target.map { "\(Self.printable($0))" },
        "hint": "add \"auth\" to the route, or open the WebSocket without the subprotocol",
      ])
  }

  /// The path without its query, which may hold a token, and without anything that could forge a line.
  package static func printable(_ target: [UInt8]) -> String {
    let path = path(of: target)
    return String(decoding: path.map { (0x21...0x7E).contains($0) ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
  }

  /// The part of a target that the log shows: without its query, at most 200 bytes.
  static func path(of target: [UInt8]) -> ArraySlice<UInt8> {
    target.prefix { $0 != UInt8(ascii: "?") }.prefix(200)
  }
}

extension UpstreamUser? {
  fileprivate var metadata: [String: Logger.MetadataValue?] { (self?.names ?? [:]).mapValues { .string($0) } }
}
