import Logging
import Transport

/// Warns of identities that expire after the year 9999: an `exp` in milliseconds looks like this, and such a token never ends.
/// At most one line in ten seconds.
final class LateExpiries: Sendable {
  /// The end of the year 9999. Seconds since 1970.
  static let bound = 253_402_300_799.0

  private let name: String
  private let log: Logger
  private let pace = SharedLogPace(most: 1, every: .seconds(10))

  /// - Parameter name: of the authenticator.
  init(of name: String, log: Logger) {
    self.name = name
    self.log = log
  }

  /// - Parameter expires: seconds since 1970.
  func check(_ expires: Double?) {
    guard let expires, expires > Self.bound else { return }
    log.log(
      "an identity expires after the year 9999", at: .warning, paced: pace,
      [
        "auth": "\(name)", "exp": "\(expires)",
        "hint": "exp is a time in seconds since 1970; it may have been written in milliseconds",
      ])
  }
}
