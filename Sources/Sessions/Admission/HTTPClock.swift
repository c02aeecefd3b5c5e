import Glibc

/// The time for the `Date` of answers, written once in a second.
package struct HTTPClock {
  private var second = 0
  private var text = ""

  package init() {}

  package mutating func now() -> String {
    let now = time(nil)
    if now != second {
      second = now
      text = HTTPDate.text(of: now)
    }
    return text
  }
}
