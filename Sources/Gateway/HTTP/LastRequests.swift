import Sessions

/// The time in which a stop still answers requests on connections that wait for one (RFC 9112 section 9.6).
///
/// A client does not know of the stop, and may have just sent one: if its connection ended at once, it could not tell whether the
/// request was carried out. The answer says that it is the last one.
enum LastRequests {
  /// Who sends more rarely is not waited for: its connection ends as after `limits.keep_alive`.
  private static let usual = Duration.milliseconds(500)

  /// - Parameter grace: of the stop, half of which is left for the end.
  static func time(within grace: Duration) -> Duration { min(usual, grace / 2) }

  /// How long connections that wait for a request keep a stop, at most.
  static func end(within grace: Duration) -> Duration { time(within: grace) + Farewell.lingering }
}
