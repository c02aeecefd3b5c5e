import Testing

@testable import Transport

struct TimerTests {
  /// A wheel whose clock the test moves.
  private final class Clock {
    var time = MonotonicTime(nanoseconds: 1_000_000_000)
    lazy var wheel = TimerWheel { [unowned self] in time }

    func advance(_ duration: Duration) {
      time = time + duration
      wheel.advance(to: time)
    }
  }

  @Test func `a timer is called once, never early, and soon`() {
    let clock = Clock()
    var calls = 0
    let timer = Timer(wheel: clock.wheel) { calls += 1 }
    timer.schedule(after: .milliseconds(500))
    clock.advance(.milliseconds(499))
    #expect(calls == 0)
    clock.advance(.milliseconds(40))
    #expect(calls == 1)
    clock.advance(.seconds(60))
    #expect(calls == 1)
  }

  @Test func `a timer beyond a turn of the wheel waits for it`() {
    let clock = Clock()
    var calls = 0
    let timer = Timer(wheel: clock.wheel) { calls += 1 }
    timer.schedule(after: .seconds(30))
    for _ in 0..<29 { clock.advance(.seconds(1)) }
    #expect(calls == 0)
    clock.advance(.milliseconds(1040))
    #expect(calls == 1)
  }

  @Test func `timers are called in order, and can be cancelled and set again`() {
    let clock = Clock()
    var calls: [Int] = []
    let timers = (0..<3).map { number in Timer(wheel: clock.wheel) { calls.append(number) } }
    timers[2].schedule(after: .milliseconds(100))
    timers[1].schedule(after: .milliseconds(300))
    timers[0].schedule(after: .milliseconds(600))
    timers[1].cancel()
    timers[0].schedule(after: .milliseconds(50))
    clock.advance(.seconds(1))
    #expect(calls == [0, 2])
    #expect(clock.wheel.nextWakeUp == nil)
  }

  @Test func `thousands of timers fire, whenever the clock is looked at`() {
    let clock = Clock()
    var calls = 0
    let timers = (0..<5000).map { _ in Timer(wheel: clock.wheel) { calls += 1 } }
    for (number, timer) in timers.enumerated() { timer.schedule(after: .milliseconds(number * 7)) }
    clock.advance(.seconds(10))
    #expect(calls > 1400)
    clock.advance(.seconds(60))
    #expect(calls == 5000)
  }

  @Test(arguments: [1, 15, 16, 17, 100, 8_191, 8_192, 8_193, 20_000])
  func `a timer is never early, at any distance`(milliseconds: Int) {
    let clock = Clock()
    let due = clock.time + .milliseconds(milliseconds)
    var calledAt: [MonotonicTime] = []
    let timer = Timer(wheel: clock.wheel) { calledAt.append(clock.time) }
    timer.schedule(after: .milliseconds(milliseconds))
    while calledAt.isEmpty, clock.time < due + .seconds(1) { clock.advance(.milliseconds(1)) }
    #expect(calledAt.count == 1)
    #expect(calledAt.allSatisfy { due <= $0 && $0 <= due + .milliseconds(17) })
  }

  @Test func `a timer may set itself again, and others, while it is called`() {
    let clock = Clock()
    var calls: [String] = []
    var timers: [Timer] = []
    timers.append(
      Timer(wheel: clock.wheel) {
        calls.append("first")
        timers[1].cancel()
        timers[2].schedule(after: .milliseconds(100))
        timers[0].schedule(after: .seconds(5))
      })
    timers.append(Timer(wheel: clock.wheel) { calls.append("second") })
    timers.append(Timer(wheel: clock.wheel) { calls.append("third") })
    timers[0].schedule(after: .milliseconds(10))
    timers[1].schedule(after: .milliseconds(40))
    timers[2].schedule(after: .milliseconds(60))
    clock.advance(.milliseconds(80))
    #expect(calls == ["first"])
    clock.advance(.milliseconds(120))
    #expect(calls == ["first", "third"])
    clock.advance(.seconds(6))
    #expect(calls == ["first", "third", "first"])
    for timer in timers { timer.cancel() }
    // The first one's closure holds them all.
    timers = []
    #expect(clock.wheel.nextWakeUp == nil)
  }

  @Test func `the wheel asks to be woken no later than the next timer is due`() throws {
    let clock = Clock()
    let timers = [3000, 20, 9000].map { ($0, Timer(wheel: clock.wheel) {}) }
    for (milliseconds, timer) in timers { timer.schedule(after: .milliseconds(milliseconds)) }
    let first = try #require(clock.wheel.nextWakeUp)
    #expect(clock.time + .milliseconds(20) <= first && first <= clock.time + .milliseconds(37))
    let second = clock.time + .milliseconds(3000)
    clock.advance(.milliseconds(50))
    let next = try #require(clock.wheel.nextWakeUp)
    #expect(next <= second + .milliseconds(17))
    clock.wheel.removeAll()
    #expect(clock.wheel.nextWakeUp == nil)
  }
}
