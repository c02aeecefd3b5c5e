import Dispatch
import GatewayConfig
import Synchronization
import Testing
import Transport

@testable import Gateway

struct FileThreadsTests {
  /// A file that gives no answer until somebody lets it.
  private final class DeadDisk: Sendable {
    private let gate = DispatchSemaphore(value: 0)

    func wait() { gate.wait() }
    func comeBack() { for _ in 0..<100 { gate.signal() } }
  }

  @Test func `work is done on another thread, and its value comes back`() async throws {
    #expect(try await FileThreads().run { $0.isDirectory("/") })
  }

  @Test func `a file that gives no answer is named, and the next work has a thread`() async throws {
    let (threads, dead) = (FileThreads(patience: .milliseconds(20)), DeadDisk())
    defer { dead.comeBack() }
    for _ in 0..<3 {
      let silence = await #expect(throws: FileThreads.Silence.self) {
        try await threads.run { disk in disk.reach("/mnt/gone.yaml") { _ in dead.wait() } }
      }
      #expect(silence?.description.contains("\"/mnt/gone.yaml\" gives no answer") == true)
      #expect(try await threads.run { _ in 1 } == 1)
    }
  }

  @Test func `work that waits for no file may take its time`() async throws {
    let threads = FileThreads(patience: .milliseconds(20))
    let value = try await threads.run { _ in
      // As long as no file is waited for.
      _ = DispatchSemaphore(value: 0).wait(timeout: .now() + .milliseconds(120))
      return "done"
    }
    #expect(value == "done")
  }

  @Test func `not more threads are lost than there may be, and those that come back count no more`()
    async throws
  {
    let (threads, dead) = (FileThreads(patience: .milliseconds(10)), DeadDisk())
    for _ in 0..<FileThreads.mostLost {
      _ = try? await threads.run { disk in disk.reach("/mnt/gone.yaml") { _ in dead.wait() } }
    }
    let silence = await #expect(throws: FileThreads.Silence.self) { try await threads.run { _ in () } }
    #expect(silence?.description.contains("threads wait for files that give no answer") == true)
    dead.comeBack()
    while (try? await threads.run { _ in 1 }) == nil { await Task.yield() }
  }

  @Test func `more work than threads waits for its turn`() async throws {
    let threads = FileThreads()
    let census = Census()
    await withTaskGroup { tasks in
      for _ in 0..<12 {
        tasks.addTask {
          _ = try? await threads.run { _ in
            census.come()
            census.go()
          }
        }
      }
    }
    #expect(census.most <= 2)
  }

  @Test func `without a thread it is said at once, and nothing is begun afterwards`() async throws {
    let begun = Mutex(0)
    let isFull = Mutex(true)
    let threads = FileThreads { body in
      guard !isFull.withLock(\.self) else { throw Full() }
      try DetachedThread.start(name: "files", body)
    }
    // More than there are turns: none of them is lost.
    for _ in 0..<5 {
      let silence = await #expect(throws: FileThreads.Silence.self) {
        try await threads.run { _ in begun.withLock { $0 += 1 } }
      }
      #expect(silence?.description.hasPrefix("the system has no thread for it (none is left): ") == true)
    }
    isFull.withLock { $0 = false }
    #expect(try await threads.run { _ in 1 } == 1)
    #expect(begun.withLock(\.self) == 0)
  }

  private struct Full: Error, CustomStringConvertible {
    var description: String { "none is left" }
  }

  @Test func `what is cancelled before its turn is not begun`() async throws {
    let (threads, dead) = (FileThreads(), DeadDisk())
    let working = (0..<2).map { _ in Task { try await threads.run { _ in dead.wait() } } }
    let census = Census()
    let waiting = (0..<3).map { _ in
      Task { try await threads.run { _ in census.come() } }
    }
    for task in waiting { task.cancel() }
    for task in waiting {
      let result = await task.result
      #expect(throws: FileThreads.Silence.self) { try result.get() }
    }
    dead.comeBack()
    for task in working { try await task.value }
    #expect(census.most == 0)
  }

  @Test func `a file that gives no answer is given up also where the task is cancelled`() async {
    let (threads, dead) = (FileThreads(patience: .milliseconds(20)), DeadDisk())
    defer { dead.comeBack() }
    let (begun, begin) = AsyncStream<Void>.makeStream()
    let task = Task {
      try await threads.run { disk in
        begin.yield()
        disk.reach("/mnt/gone.yaml") { _ in dead.wait() }
      }
    }
    for await _ in begun { break }
    task.cancel()
    let result = await task.result
    #expect(throws: FileThreads.Silence.self) { try result.get() }
  }

  /// How many are there, and how many were there at most.
  private final class Census: Sendable {
    private let counts = Mutex((now: 0, most: 0))

    var most: Int { counts.withLock(\.most) }

    func come() {
      counts.withLock { counts in
        counts.now += 1
        counts.most = max(counts.most, counts.now)
      }
    }

    func go() { counts.withLock { $0.now -= 1 } }
  }
}
