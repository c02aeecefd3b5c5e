import Logging
import Transport
import WebSocketCore

/// Counts refused hand-shakes and writes a line for each, but never more than a bounded number in a second: a scan or a
/// storm of connections must not fill the disk.
final class RefusalLog {
  private static let linesPerSecond = 20

  private let gateway: GatewayState
  private var second: Int64 = 0
  private var lines = 0
  private var suppressed = 0

  init(gateway: GatewayState) {
    self.gateway = gateway
  }

  func record(_ refusal: HandshakeRefusal, target: [UInt8]?, peer: PeerAddress) {
    gateway.counters.refusals.up()
    guard mayWrite() else {
      suppressed += 1
      return
    }
    var metadata: [String: String] = [
      "status": "\(refusal.status)", "reason": refusal.text, "peer": "\(peer)",
    ]
    if let target { metadata["path"] = Self.printable(target) }
    if suppressed > 0 {
      metadata["suppressed"] = "\(suppressed)"
      suppressed = 0
    }
    gateway.log.info("refused", metadata: metadata.mapValues { .string($0) })
  }

  private func mayWrite() -> Bool {
    let current = MonotonicTime.now.seconds
    if current != second {
      second = current
      lines = 0
    }
    lines += 1
    return lines <= Self.linesPerSecond
  }

  /// The path without its query, which may hold a token, and without anything that could forge a line.
  private static func printable(_ target: [UInt8]) -> String {
    let path = target.prefix { $0 != UInt8(ascii: "?") }.prefix(200)
    return String(decoding: path.map { (0x21...0x7E).contains($0) ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
  }
}
