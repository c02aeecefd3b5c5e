import Bytes
import Glibc
import JSON
import Transport

/// Shows on a terminal what is waited for, in one line that is written over and over, and is gone at the end. A terminal that cannot do that
/// gets a line now and then. Elsewhere it shows nothing.
struct ProgressLine {
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private let isDumb = Environment.variables["TERM"] == "dumb"
  private let began = MonotonicTime.now
  private var isShown = false
  private var last: MonotonicTime?

  /// What takes less long needs no explanation.
  private static let patience = Duration.seconds(2)
  /// How far the lines are apart that stay.
  private static let distance = Duration.seconds(15)

  /// - Parameter progress: what the gateway says of itself.
  mutating func show(_ progress: JSON) {
    let now = MonotonicTime.now
    guard isTerminal, now.since(began) >= Self.patience else { return }
    let words = Self.words(for: progress).printable
    if isDumb {
      if let last, now.since(last) < Self.distance { return }
      last = now
      return Output.error(words)
    }
    // The width may change. A line that reaches the last column would make another one on some terminals.
    let width = Terminal.width(STDERR_FILENO) ?? .max
    Output.error("\r\u{1B}[K" + words.prefix(width - 1), end: "")
    isShown = true
  }

  mutating func clear() {
    if isShown { Output.error("\r\u{1B}[K", end: "") }
    isShown = false
  }

  /// `drain under way: 4012 sessions, 8s of the grace left`
  static func words(for progress: JSON) -> String {
    var words = [progress["under_way"]?["name"]?.string.map { "\($0) under way" } ?? "waiting"]
    if case .integer(let sessions)? = progress["sessions"] {
      words.append("\(sessions) session\(sessions == 1 ? "" : "s")")
    }
    if let left = progress["grace_left_seconds"]?.seconds {
      words.append("\(left.inWords) of the grace left")
    }
    return words[0] + ": " + words.dropFirst().joined(separator: ", ")
  }
}
