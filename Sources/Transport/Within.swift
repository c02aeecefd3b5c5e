/// Runs the body for at most the given time.
///
/// - Parameter body: is cancelled when the time is over, and must end then.
/// - Returns: what the body returned; nil where the time was over first.
package func within<Result: Sendable, Failure: Error>(
  _ time: Duration, _ body: @escaping @Sendable () async throws(Failure) -> Result
) async throws(Failure) -> Result? {
  let outcome = await withTaskGroup(of: Swift.Result<Result?, Failure>?.self) { tasks in
    tasks.addTask {
      do throws(Failure) {
        return .success(try await body())
      } catch {
        return .failure(error)
      }
    }
    tasks.addTask {
      do {
        try await Task.sleep(for: time)
        return .success(nil)
      } catch {
        // The caller is cancelled, and the body says how that ends.
        return nil
      }
    }
    defer { tasks.cancelAll() }
    while let ended = await tasks.next() {
      if let ended { return ended }
    }
    return .success(nil)
  }
  return try outcome.get()
}
