import Glibc

/// The time of day, for people and logs; never for measuring how long something takes.
public enum WallClock {
  /// UTC, RFC 3339 with milliseconds.
  public static func timestamp() -> String { text(of: now) }

  /// The same moment as text, and in seconds since 1970 with milliseconds.
  public static var moment: (text: String, seconds: Double) {
    let now = now
    return (text(of: now), Double(now.tv_sec) + Double(now.tv_nsec / 1_000_000) / 1000)
  }

  private static func text(of now: timespec) -> String {
    var now = now
    var parts = unsafe tm()
    unsafe gmtime_r(&now.tv_sec, &parts)
    let date = unsafe [
      padded(Int(parts.tm_year) + 1900, 4), padded(Int(parts.tm_mon) + 1, 2), padded(Int(parts.tm_mday), 2),
    ].joined(separator: "-")
    let time = unsafe [
      padded(Int(parts.tm_hour), 2), padded(Int(parts.tm_min), 2), padded(Int(parts.tm_sec), 2),
    ].joined(separator: ":")
    return "\(date)T\(time).\(padded(now.tv_nsec / 1_000_000, 3))Z"
  }

  /// Seconds since 1970, with microseconds.
  public static var secondsSinceEpoch: Double {
    let now = now
    return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
  }

  private static var now: timespec {
    var now = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &now)
    return now
  }

  private static func padded(_ number: Int, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}
