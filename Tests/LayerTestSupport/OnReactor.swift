package import Transport

/// Runs the body on the thread of a reactor that lives as long, and returns what it returns.
@discardableResult
package func onReactor<Result: Sendable>(
  _ body: @escaping @Sendable (Reactor) throws -> Result
) throws -> Result {
  let (thread, result) = try Reactor.start(name: "test", body)
  thread.stop()
  thread.join()
  return result
}
