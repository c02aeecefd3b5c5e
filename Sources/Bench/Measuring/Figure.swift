/// Formats figures.
enum Figure {
  /// `1234`, `0.12`: only significant digits.
  static func number(_ value: Double) -> String {
    switch value.magnitude {
    case 100...: fixed(value, 0)
    case 10...: fixed(value, 1)
    default: fixed(value, 2)
    }
  }

  /// `412 µs`, `1.25 ms`, `2.10 s`
  static func time(nanoseconds: UInt64) -> String {
    let value = Double(nanoseconds)
    return switch nanoseconds {
    case ..<1_000_000: "\(number(value / 1e3)) µs"
    case ..<1_000_000_000: "\(number(value / 1e6)) ms"
    default: "\(number(value / 1e9)) s"
    }
  }

  /// `194 B`, `4.2 KiB`, `12.3 MiB`
  static func size(_ bytes: Double) -> String {
    switch bytes.magnitude {
    case ..<1024: "\(fixed(bytes, 0)) B"
    case ..<1_048_576: "\(fixed(bytes / 1024, 1)) KiB"
    default: "\(fixed(bytes / 1_048_576, 1)) MiB"
    }
  }

  static func fixed(_ value: Double, _ digits: Int) -> String {
    guard value.isFinite, value.magnitude < 1e15 else { return "\(value)" }
    let scale = [1, 10, 100][min(digits, 2)]
    let scaled = Int((value.magnitude * Double(scale)).rounded())
    let sign = value < 0 && scaled > 0 ? "-" : ""
    guard digits > 0 else { return sign + "\(scaled)" }
    let fraction = "\(scaled % scale)"
    return sign + "\(scaled / scale)." + String(repeating: "0", count: digits - fraction.count) + fraction
  }
}
