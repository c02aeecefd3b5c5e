import Logging
import Sessions
import Transport

/// Writes a line for each plain request that is refused, as the workers do for handshakes, but never more than a bounded number in a
/// second.
final class HTTPRefusals: Sendable {
  private let log: Logger
  private let pace = SharedLogPace()
  /// Of requests for what is not there: a browser that wants an icon, or a scan, must not hide the others.
  private let missingPace = SharedLogPace()

  init(log: Logger) {
    self.log = log
  }

  /// - Parameters:
  ///   - target: of the request; nil where it could not be read.
  ///   - facts: what else there is to say; asked for where a line is written.
  func record(
    _ refusal: Refusal, target: [UInt8]?, peer: PeerAddress,
    _ facts: @autoclosure () -> [String: String] = [:]
  ) {
    log.tell(
      of: refusal, target: target, peer: peer,
      paced: refusal.status == 404 ? missingPace : pace, facts())
  }
}
