/// Looks again and again, until something has happened that tasks take part in.
///
/// The bound is a number of looks, not a time: other tests keep the threads of Swift's tasks for many seconds, and
/// meanwhile neither this one nor what it waits for goes on.
///
/// - Throws: ``NotInTime`` after 20,000 looks, which are at least 20 s.
func waitUntil(_ condition: () throws -> Bool) async throws {
  for _ in 0..<20_000 {
    if try condition() { return }
    try await Task.sleep(for: .milliseconds(1))
  }
  throw NotInTime()
}

struct NotInTime: Error, CustomStringConvertible {
  var description: String { "it did not happen in time" }
}
