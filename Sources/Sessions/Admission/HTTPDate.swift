import Glibc

/// The time in HTTP's format (RFC 9110 section 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
package enum HTTPDate {
  private static let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
  private static let months = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
  ]

  package static var now: String {
    text(of: time(nil))
  }

  /// The years that the format has digits for; whoever sets the time of a file may set any other one.
  private static let expressible = -30_610_224_000...253_402_300_799

  /// - Parameter seconds: since 1970. Before the year 1000 and after 9999, the nearest second within is written.
  package static func text(of seconds: Int) -> String {
    var seconds = min(max(seconds, expressible.lowerBound), expressible.upperBound)
    var parts = unsafe tm()
    _ = unsafe gmtime_r(&seconds, &parts)
    let (day, month) = unsafe (days[Int(parts.tm_wday)], months[Int(parts.tm_mon)])
    let date = unsafe "\(day), \(padded(parts.tm_mday)) \(month) \(parts.tm_year + 1900)"
    let clock = unsafe [parts.tm_hour, parts.tm_min, parts.tm_sec].map(padded).joined(separator: ":")
    return "\(date) \(clock) GMT"
  }

  /// Reads a date in the form above, or in one of the two obsolete ones.
  ///
  /// - Returns: seconds since 1970; nil for anything else.
  package static func seconds(of text: String) -> Int? {
    let words = text.split { !$0.isLetter && !$0.isNumber }
    guard words.count == 7 || words.count == 8 && words[7] == "GMT" else { return nil }
    // `Sun Nov  6 08:49:37 1994` begins with the month.
    let isOldest = words.count == 7
    let (day, month) = isOldest ? (words[2], words[1]) : (words[1], words[2])
    let (year, clock) = isOldest ? (words[6], words[3...5]) : (words[3], words[4...6])
    let times = clock.compactMap { Int32($0) }
    guard let month = months.firstIndex(of: String(month)), let day = Int32(day), (1...31).contains(day),
      var year = Int32(year), times.count == 3, (0...23).contains(times[0]), (0...59).contains(times[1]),
      (0...60).contains(times[2])
    else { return nil }
    // A two-digit year is interpreted as one of the last hundred years, more or less (RFC 9110 section 5.6.7).
    if year < 100 { year += year < 70 ? 2000 : 1900 }
    guard (1970...9999).contains(year) else { return nil }
    var parts = unsafe tm()
    unsafe (parts.tm_year, parts.tm_mon, parts.tm_mday) = (year - 1900, Int32(month), day)
    unsafe (parts.tm_hour, parts.tm_min, parts.tm_sec) = (times[0], times[1], times[2])
    return unsafe timegm(&parts)
  }

  private static func padded(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
