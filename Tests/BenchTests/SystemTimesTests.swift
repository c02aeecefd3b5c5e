import Glibc
import Testing

@testable import Bench

struct SystemTimesTests {
  private static let status = "Name:\ta b\nVmHWM:\t   9999 kB\nVmRSS:\t   1234 kB\nThreads:\t1\n"
  private static let statistics = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 100 1 1 1"

  @Test func `memory and time of a process are read`() throws {
    let found = try #require(
      ServerProcess(status: Self.status, statistics: Self.statistics, ticksPerSecond: 100))
    #expect(found.residentBytes == 1234 * 1024)
    #expect(found.processorTime == .seconds(3))
  }

  @Test(arguments: [("", statistics), (status, ""), (status, "7 (a) S 1 2 3"), ("VmRSS: x kB", statistics)])
  func `what is something else is not read`(_ status: String, _ statistics: String) {
    #expect(ServerProcess(status: status, statistics: statistics, ticksPerSecond: 100) == nil)
  }

  @Test func `this process has memory, and none has no number`() throws {
    #expect(try ServerProcess.read(getpid()).residentBytes > 1 << 20)
    #expect(throws: BenchFailure("there is no process 2147483647 on this machine")) {
      try ServerProcess.read(.max)
    }
  }

  @Test func `the time in a run queue is the second number`() {
    #expect(ThreadTime.waiting(schedstat: "100 2500 3\n") == .nanoseconds(2500))
    for text in ["", "1 2", "1 x 3\n", "1 2 3 4"] { #expect(ThreadTime.waiting(schedstat: text) == nil) }
  }

  @Test func `a thread that works has used a processor`() {
    let before = ThreadTime.now
    var sum: UInt64 = 0
    while (ThreadTime.now - before).used < .milliseconds(5) { sum &+= 1 }
    #expect(sum > 0)
    #expect((ThreadTime.now - before).waited >= .zero)
  }
}
