import Testing

@testable import Transport

struct WithinTests {
  private struct Failed: Error {}

  @Test func `what ends in time returns its result, or throws its error`() async throws {
    #expect(await within(.seconds(3600)) { 1 } == 1)
    await #expect(throws: Failed.self) { try await within(.seconds(3600)) { throw Failed() } }
  }

  @Test func `what does not end in time is cancelled`() async throws {
    let outcome: Int? = await within(.milliseconds(1)) {
      try? await Task.sleep(for: .seconds(3600))
      return 1
    }
    #expect(outcome == nil)
  }

  @Test func `what is cancelled from outside ends as the body says`() async {
    let task = Task {
      try await within(.seconds(3600)) { try await Task.sleep(for: .seconds(3600)) }
    }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
  }
}
