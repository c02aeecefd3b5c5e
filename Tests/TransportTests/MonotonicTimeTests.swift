import Testing

@testable import Transport

struct MonotonicTimeTests {
  @Test func `it does not go back`() {
    let first = MonotonicTime.now
    let second = MonotonicTime.now
    #expect(first <= second)
  }

  @Test(
    arguments: [
      (Duration.zero, 0), (.nanoseconds(1), 1), (.milliseconds(1500), 1_500_000_000), (.seconds(-1), 0),
      (.milliseconds(-1), 0), (.seconds(Int64.max), 3_155_760_000_000_000_000),
    ] as [(Duration, UInt64)])
  func `a duration counts in whole nanoseconds, and no less than none`(
    duration: Duration, nanoseconds: UInt64
  ) {
    #expect(duration.wholeNanoseconds == nanoseconds)
    #expect(MonotonicTime(nanoseconds: 5) + duration == MonotonicTime(nanoseconds: 5 + nanoseconds))
  }
}
