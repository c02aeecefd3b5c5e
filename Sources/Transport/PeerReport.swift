import CLinux
import Glibc

/// What the system knows about the other end of a TCP connection (`TCP_INFO`, tcp(7)): enough to tell a peer that vanished from
/// one that does not read.
public struct PeerReport: Sendable, Equatable {
  /// Segments that were sent and not acknowledged. A peer that does not read still acknowledges, until its window is closed;
  /// then nothing more is sent.
  public var unacknowledged: Int
  /// Window probes that the peer has not answered.
  public var unansweredProbes: Int
  /// Milliseconds since a segment with data was sent, for the first time or again.
  public var sinceSent: Int
  /// Milliseconds since anything arrived.
  public var sinceHeard: Int
  /// Whether the peer has closed its half. Of a connection that is not read nothing else tells.
  public var hasFinished = false

  /// Whether the peer owes an answer: data or a probe was sent after the peer was last heard. A peer with a closed window is
  /// probed ever more rarely, up to two minutes apart, and until the next probe its silence means nothing.
  public var isAwaited: Bool {
    unansweredProbes > 0 || unacknowledged > 0 && sinceSent < sinceHeard
  }
}

/// Finds out from reports that a peer vanished: it owed an answer, and nothing arrived within the bound.
public struct PeerSilence: Sendable, Equatable {
  /// Number of reports within each bound.
  private static let looks: UInt64 = 8

  /// Nanoseconds of the reactor's clock; 0 before the first look.
  private var nextLook: UInt64 = 0
  /// Since when the peer owes an answer, at the earliest look that showed it; 0 while it owes none.
  private var awaitedSince: UInt64 = 0

  public init() {}

  /// Looks at the peer, if a look is due.
  ///
  /// - Parameters:
  ///   - now: nanoseconds of the reactor's clock.
  ///   - bound: how long the peer may owe an answer, in nanoseconds.
  ///   - report: called only a few times within each bound.
  /// - Returns: whether the peer vanished.
  public mutating func isOver(
    at now: UInt64, bound: UInt64, _ report: @autoclosure () -> PeerReport?
  ) -> Bool {
    guard now >= nextLook else { return false }
    nextLook = now + bound / Self.looks
    guard let report = report(), report.isAwaited else {
      awaitedSince = 0
      return false
    }
    let silence = min(now, UInt64(report.sinceHeard) * 1_000_000)
    // Answers that were owed before the peer was last heard are settled.
    awaitedSince = awaitedSince == 0 ? now : max(awaitedSince, now - silence)
    return min(now - awaitedSince, silence) >= bound
  }
}

extension Connection {
  /// What the system knows about the peer, asked at each call; nil if the connection is not TCP or is closed.
  public var peerReport: PeerReport? { PeerReport(ofSocket: rawDescriptor) }

  /// Ends the connection with a reset, so that the system drops what it still holds for the vanished peer. As after a reset by
  /// the peer, the handler is first given what the peer sent before.
  public func peerVanished() {
    PeerReport.dropUnsent(ofSocket: rawDescriptor)
    close(.failed(ETIMEDOUT))
  }
}

extension PeerReport {
  /// Asks the system; nil for a socket that is not TCP.
  package init?(ofSocket raw: Int32) {
    var info = tcp_info()
    var size = socklen_t(MemoryLayout<tcp_info>.size)
    guard unsafe getsockopt(raw, Int32(IPPROTO_TCP), TCP_INFO, &info, &size) == 0 else { return nil }
    self.init(
      unacknowledged: Int(info.tcpi_unacked), unansweredProbes: Int(info.tcpi_probes),
      sinceSent: Int(info.tcpi_last_data_sent),
      sinceHeard: Int(min(info.tcpi_last_ack_recv, info.tcpi_last_data_recv)),
      hasFinished: Int(info.tcpi_state) == Int(TCP_CLOSE_WAIT))
  }

  /// Lets the system forget what it holds for the peer when the socket is closed, instead of sending it again and again.
  package static func dropUnsent(ofSocket raw: Int32) {
    var linger = linger(l_onoff: 1, l_linger: 0)
    _ = unsafe setsockopt(raw, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
  }
}
