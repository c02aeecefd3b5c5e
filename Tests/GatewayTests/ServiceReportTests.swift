import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Gateway
@testable import Transport

/// A service manager: a socket on which datagrams arrive.
private struct Manager: ~Copyable {
  private let descriptor: Descriptor
  let name: String

  init(abstract: Bool = false) throws {
    name = (abstract ? "@sluice-" : "/tmp/sluice-notify-") + "\(getpid())-\(UInt64.random(in: 0 ... .max))"
    descriptor = Descriptor(adopting: socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0))
    let address = abstract ? SocketAddress(abstract: String(name.dropFirst())) : SocketAddress(unixPath: name)
    let raw = descriptor.rawValue
    #expect(unsafe address.pass(to: { unsafe bind(raw, $0, $1) }) == 0)
  }

  deinit { SocketFile(path: name)?.remove() }

  /// Waits for the next datagram.
  func receive() -> String {
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = unsafe recv(descriptor.rawValue, &bytes, bytes.count, 0)
    return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
  }
}

struct ServiceReportTests {
  @Test(arguments: [false, true])
  func `news are a datagram, to a path and to a name without a file`(_ isAbstract: Bool) throws {
    let manager = try Manager(abstract: isAbstract)
    let report = try #require(ServiceReport(["NOTIFY_SOCKET": manager.name], process: 1))
    #expect(report.watchdog == nil)
    report.tell(.ready(status: "serving"))
    #expect(manager.receive() == "READY=1\nSTATUS=serving")
    report.tell(.reloading(since: MonotonicTime(nanoseconds: 5_000_999)))
    #expect(
      manager.receive() == "RELOADING=1\nMONOTONIC_USEC=5000\nSTATUS=reading the configuration again")
    report.tell(.stopping(status: "closing 3 sessions"))
    #expect(manager.receive() == "STOPPING=1\nSTATUS=closing 3 sessions")
  }

  @Test func `nobody is told where there is no manager`() {
    #expect(ServiceReport([:], process: 1) == nil)
    #expect(ServiceReport(["NOTIFY_SOCKET": "vsock:2:1234"], process: 1) == nil)
    #expect(ServiceReport(["NOTIFY_SOCKET": ""], process: 1) == nil)
    // Nobody reads there, which does not matter.
    ServiceReport(["NOTIFY_SOCKET": "/nowhere/at/all"], process: 1)?.tell(.alive)
  }

  @Test func `the watchdog is for the process that it names, and is fed twice in its time`() {
    func watchdog(_ environment: [String: String]) -> Duration? {
      ServiceReport(environment.merging(["NOTIFY_SOCKET": "/x"]) { first, _ in first }, process: 7)?.watchdog
    }
    #expect(watchdog(["WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "7"]) == .milliseconds(1500))
    #expect(watchdog(["WATCHDOG_USEC": "3000000"]) == .milliseconds(1500))
    #expect(watchdog(["WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "8"]) == nil)
    #expect(watchdog(["WATCHDOG_USEC": "0"]) == nil)
    #expect(watchdog(["WATCHDOG_USEC": "soon"]) == nil)
  }

  @Test func `the gateway is alive as long as every reactor answers`() throws {
    let manager = try Manager()
    let report = try #require(
      ServiceReport(["NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "20000"], process: 1))
    // The second reactor answers only what it is let.
    let held = Mutex<(isHolding: Bool, questions: [@Sendable () -> Void])>((false, []))
    let watch = ServiceWatch(
      report,
      reactors: [
        { $0() },
        { question in
          let isHeld = held.withLock { held in
            if held.isHolding { held.questions.append(question) }
            return held.isHolding
          }
          if !isHeld { question() }
        },
      ]
    ) { "2 sessions" }
    let thread = try watch.start()
    defer {
      thread.stop()
      thread.join()
    }
    #expect(manager.receive() == "WATCHDOG=1")
    #expect(manager.receive() == "STATUS=2 sessions")
    held.withLock { $0.isHolding = true }
    // What was on the way comes still: at most one more of each. Then it is silent until the answer is there.
    let isSilent = MonotonicTime.now + .milliseconds(200)
    while held.withLock({ $0.questions.isEmpty }) || MonotonicTime.now < isSilent { usleep(1000) }
    let asked = held.withLock { held in
      held.isHolding = false
      defer { held.questions = [] }
      return held.questions
    }
    #expect(asked.count == 1)
    asked.first?()
    #expect(manager.receive() == "WATCHDOG=1")
  }
}
