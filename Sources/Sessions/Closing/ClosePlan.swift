package import GatewayConfig

/// When the sessions of a process are closed, and when their clients are told to come back, so that these come in an even stream and
/// neither all at once nor while nobody listens.
///
/// Let N sessions be closed, and let f be a session's place among them, from 0 to 1. Times count from the beginning.
///
/// - It is closed at f·W. The closes are spread because ending a session costs something, and because not every client obeys.
/// - Its client comes back at B + f·S. The hint in the close frame is the difference, B + f·(S − W), so arrivals are as even as the
///   places are, whatever the closes are like: N/S in each second, from B to B + S.
///
/// What the three are:
///
/// - W = min(G/2, N/500 s) for a grace G: a few sessions need no spreading, and half of the grace is left for clients that answer late.
/// - B is when somebody listens. Another process that listens already, or this one where it does not end: B = 0. Otherwise it is the end
///   of this process and then `shutdown.back`, and the end is known only within bounds: it comes between W, when every client answers at
///   once, and G. With many sessions one of them does not answer, and being early makes a storm, so E = min(G, 2W): G for many, and
///   next to nothing for a few, whose clients had better try too early than wait. Where answers are only
///   waited for during a time A, E = min(G, W + min(W, A)). It is at least what others keep the process for: HTTP connections that wait for
///   a request are answered for a while. B = E + back.
/// - S = max(W, N/R) for at most R arrivals in a second: 1000, and at most three quarters of `limits.handshakes`, since other clients
///   come meanwhile. It is at most five minutes. S is never below W, so that no hint lies before its close frame; with B = 0 and S = W
///   every hint is 0, and the closes themselves are what is even.
///
/// Several reactors close at once. Each has a part of the sessions, spreads them over the same W and S, and shifts them by its share of one
/// step, so that their sum is as even as each of them.
package struct ClosePlan: Sendable, Equatable {
  /// W: how long close frames are sent.
  package let closes: Duration
  /// B: when the first client is to come back.
  package let back: Duration
  /// S: over which time all of them come back.
  package let arrivals: Duration

  /// More closes in a second are only made where the grace asks for it.
  static let closesPerSecond = 500.0
  static let arrivalsPerSecond = 1000.0
  static let longestArrivals = Duration.seconds(300)

  /// - Parameters:
  ///   - sessions: of the process.
  ///   - next: when somebody listens for their clients.
  ///   - answers: how long the answers to the last close frames are waited for; nil for the rest of the grace.
  ///   - others: how long others keep the process, at most.
  ///   - handshakes: `limits.handshakes` of whoever that is.
  package init(
    closing sessions: Int, within grace: Duration, next: NextListener, answers: Duration? = nil,
    others: Duration = .zero, handshakes: Rate? = nil
  ) {
    let count = Double(sessions)
    closes = min(grace / 2, .seconds(count / Self.closesPerSecond))
    switch next {
    case .now: back = .zero
    case .after(let time):
      back = min(grace, max(closes + min(closes, answers ?? closes), others)) + time
    }
    let rate = min(Self.arrivalsPerSecond, Self.mostArrivals(within: handshakes))
    arrivals = max(closes, min(Self.longestArrivals, .seconds(count / rate)))
  }
}

extension ClosePlan {
  /// For clients that another program does not keep, which are closed as by a reload: W is the time of that.
  ///
  /// - Parameters:
  ///   - sessions: of the process.
  ///   - time: from the last close until the other program serves.
  ///   - handshakes: `limits.handshakes`.
  package init(closingForeseen sessions: Int, next time: Duration, handshakes: Rate?) {
    self.init(
      closing: sessions, within: ExchangePace.time * 2, next: .after(time), answers: .zero,
      handshakes: handshakes)
  }

  /// How many closed clients may come back in a second, as others come meanwhile.
  ///
  /// - Parameter handshakes: `limits.handshakes`.
  static func mostArrivals(within handshakes: Rate?) -> Double {
    handshakes.map { Double($0.count) / ($0.period / .seconds(1)) * 0.75 } ?? .infinity
  }

  /// The place f of a session.
  ///
  /// - Parameters:
  ///   - number: from 0, among the `count` sessions of a reactor.
  ///   - reactor: from 0, among `reactors`.
  static func place(of number: Int, among count: Int, reactor: Int, of reactors: Int) -> Double {
    (Double(number) + (Double(reactor) + 0.5) / Double(reactors)) / Double(count)
  }

  func close(at place: Double) -> Duration { closes * place }

  /// What the client of a session is told: after how long it comes back.
  ///
  /// - Parameter now: when the close frame is sent, which may be later or a little earlier than planned.
  func retry(at place: Double, after now: Duration) -> Duration {
    max(.zero, back + arrivals * place - now)
  }

  /// What a client is told that is refused meanwhile. It comes at any time within the others.
  package func retry(after now: Duration) -> Duration {
    retry(at: .random(in: 0..<1), after: now)
  }
}
