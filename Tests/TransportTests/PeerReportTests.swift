import CLinux
import Glibc
import TestSupport
import Testing

@testable import Transport

private let second: UInt64 = 1_000_000_000

struct PeerSilenceTests {
  private static let answered = PeerReport(
    unacknowledged: 0, unansweredProbes: 0, sinceSent: 90_000, sinceHeard: 90_000)

  /// Looks once a second; nil where the peer is never taken to be gone.
  private func end(within seconds: UInt64, _ report: (Int) -> PeerReport?) -> UInt64? {
    var silence = PeerSilence()
    return (1...seconds).first { silence.isOver(at: $0 * second, bound: 8 * second, report(Int($0))) }
  }

  @Test func `a peer that owes an answer for the whole bound is gone`() {
    let end = end(within: 60) {
      .init(unacknowledged: 3, unansweredProbes: 0, sinceSent: 200, sinceHeard: $0 * 1000)
    }
    #expect(end == 9)
  }

  @Test func `what the peer owed before it was heard last is settled`() {
    // Something is always on its way, and answered after a while.
    let end = end(within: 200) {
      .init(unacknowledged: 1, unansweredProbes: 0, sinceSent: 10, sinceHeard: $0 % 7 * 1000 + 20)
    }
    #expect(end == nil)
  }

  @Test func `a peer that is asked again after a long silence has the whole time to answer`() {
    let end = end(within: 60) { moment in
      moment < 40
        ? Self.answered
        : .init(unacknowledged: 1, unansweredProbes: 0, sinceSent: 100, sinceHeard: moment * 1000 + 90_000)
    }
    #expect(end == 48)
  }

  @Test func `a peer that only does not read is not gone, however seldom it is asked`() {
    // Its window is closed: nothing is on its way, and the last question was answered.
    let closed = end(within: 500) { _ in Self.answered }
    #expect(closed == nil)
    // It has taken its window back while something was on its way: that is sent again and again, and each time answered.
    let shrunk = end(within: 500) { moment in
      .init(
        unacknowledged: 2, unansweredProbes: 0, sinceSent: moment % 120 * 1000,
        sinceHeard: moment % 120 * 1000)
    }
    #expect(shrunk == nil)
  }

  @Test func `a peer that does not read and vanished is found by its unanswered probes`() {
    let end = end(within: 60) {
      .init(unacknowledged: 0, unansweredProbes: 2, sinceSent: 90_000, sinceHeard: 90_000 + $0 * 1000)
    }
    #expect(end == 9)
  }

  @Test func `what is not TCP is never taken to be gone`() {
    #expect(end(within: 60) { _ in nil } == nil)
  }
}

struct PeerReportTests {
  /// A filter that lets nothing through: the socket's peer hears nothing of it any more, as if its cable was cut.
  private func cutOff(_ descriptor: Int32) {
    var instruction: UInt64 = 0x06  // BPF_RET | BPF_K, 0
    unsafe withUnsafeMutablePointer(to: &instruction) { code in
      // `struct sock_fprog`: a count, padding, and where the program is.
      var program: (UInt64, UInt) = (1, UInt(bitPattern: code))
      let status = unsafe setsockopt(descriptor, SOL_SOCKET, 26 /* SO_ATTACH_FILTER */, &program, 16)
      #expect(status == 0)
    }
  }

  @Test func `the system tells a peer that vanished from one that does not read`() throws {
    let (near, far) = try tcpPair()
    defer { close(near) }
    send([1], to: near)
    #expect(receive(1, from: far) == [1])
    var report = try #require(PeerReport(ofSocket: near))
    while report.unacknowledged > 0 { report = try #require(PeerReport(ofSocket: near)) }
    #expect(!report.isAwaited)

    // Until it takes no more.
    let chunk = [UInt8](repeating: 0, count: 1 << 20)
    while unsafe socket_send(near, chunk, chunk.count, Int32(MSG_NOSIGNAL)) > 0 || isDraining(near) {}
    report = try #require(PeerReport(ofSocket: near))
    #expect(report.unacknowledged == 0)

    // It reads again, and vanishes while something is on its way.
    let other = try tcpPair()
    defer { close(other.reactor) }
    cutOff(other.test)
    send([2], to: other.reactor)
    report = try #require(PeerReport(ofSocket: other.reactor))
    #expect(report.unacknowledged == 1)
    while !report.isAwaited {
      usleep(1000)
      report = try #require(PeerReport(ofSocket: other.reactor))
    }
    close(far)
    close(other.test)
  }

  private func isDraining(_ descriptor: Int32) -> Bool {
    (PeerReport(ofSocket: descriptor)?.unacknowledged ?? 0) > 0
  }

  @Test func `a Unix socket has no report`() {
    let (near, far) = socketPair()
    #expect(PeerReport(ofSocket: near) == nil)
    close(near)
    close(far)
  }

  @Test func `what is accepted is asked by the system whether its peer lives`() throws {
    let options = Reports<[Int32]>()
    try withReactor({ reactor in
      let listener = try listenOnAnyPort()
      let port = listener.port
      reactor.listen(on: listener) { descriptor in
        options.add(
          [(SOL_SOCKET, SO_KEEPALIVE), (Int32(IPPROTO_TCP), TCP_KEEPIDLE), (Int32(IPPROTO_TCP), TCP_KEEPCNT)]
            .map { level, option in
              var value: Int32 = 0
              var size = socklen_t(MemoryLayout<Int32>.size)
              _ = unsafe getsockopt(descriptor.rawValue, level, option, &value, &size)
              return value
            })
      }
      return port
    }) { port in
      close(connect(to: port))
      #expect(options.wait(for: 1) == [[1, KeepAliveProbes.idle, KeepAliveProbes.count]])
    }
  }
}
