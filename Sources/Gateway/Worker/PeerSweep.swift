import Transport

/// Has a client that may vanish without a word.
protocol CheckedPeer: AnyObject {
  /// Where `PeerSweep` keeps it.
  var index: Int { get set }

  /// Ends the connection of a client that has owed the system an answer for too long. One that only does not read is not gone.
  ///
  /// - Parameters:
  ///   - now: nanoseconds of the reactor's clock.
  ///   - bound: how long the client may owe an answer, in nanoseconds.
  func checkPeer(at now: UInt64, bound: UInt64)
}

/// Keeps connections of one worker in no order, and checks a part of them at a time: one timer for all of them. Confined to its
/// reactor.
///
/// A connection without data on the way is checked by `KeepAliveProbes`.
final class PeerSweep<Member: CheckedPeer> {
  private let reactor: Reactor
  private let bound: Duration
  private(set) var members: [Member] = []
  private var position = 0
  /// Nil while there are no members.
  private var timer: Timer?

  /// How often some of the clients are checked within the bound, and in how many parts all of them.
  private static var looksPerBound: Int { 60 }
  private static var looksPerRound: Int { 8 }

  init(on reactor: Reactor, bound: Duration) {
    self.reactor = reactor
    self.bound = bound
  }

  func add(_ member: Member) {
    member.index = members.count
    members.append(member)
    if timer == nil { schedule() }
  }

  func remove(_ member: Member) {
    let last = members.removeLast()
    guard last !== member else { return }
    last.index = member.index
    members[member.index] = last
  }

  private func schedule() {
    // Unowned: the worker keeps this object.
    let timer = timer ?? reactor.timer { [unowned self] in check() }
    self.timer = timer
    timer.schedule(after: bound / Self.looksPerBound)
  }

  private func check() {
    guard !members.isEmpty else {
      timer = nil
      return
    }
    let now = reactor.now.nanoseconds
    for _ in 0..<((members.count + Self.looksPerRound - 1) / Self.looksPerRound) {
      position = position + 1 < members.count ? position + 1 : 0
      members[position].checkPeer(at: now, bound: bound.wholeNanoseconds)
    }
    schedule()
  }
}
