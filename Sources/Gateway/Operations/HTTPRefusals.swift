import Logging
import Transport

/// Writes a line for each request that the HTTP side refuses as the workers refuse handshakes, but never more than a bounded number in a
/// second.
final class HTTPRefusals: Sendable {
  private let log: Logger
  private let pace = SharedLogPace()

  init(log: Logger) {
    self.log = log
  }

  /// - Parameter target: of the request; nil where it could not be read.
  func record(status: Int, reason: String, target: String?, peer: PeerAddress) {
    guard let suppressed = pace.next() else { return }
    var metadata: Logger.Metadata = ["status": "\(status)", "reason": "\(reason)", "peer": "\(peer)"]
    if let target { metadata["path"] = "\(RefusalLog.printable(Array(target.utf8)))" }
    if suppressed > 0 { metadata["suppressed"] = "\(suppressed)" }
    log.info("refused", metadata: metadata)
  }
}
