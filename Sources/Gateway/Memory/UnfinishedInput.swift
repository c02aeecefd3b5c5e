import Transport

/// Somebody whose peer has begun a message that it has not finished.
protocol InputHolder: AnyObject {
  var routeName: String { get }
  /// There is no memory for it any more: it lets go of what has come, tells its peer, and ends.
  func giveUpInput()
}

/// What the peers of one worker have begun to send and not finished, and its bound (`limits.receive_memory`).
///
/// When all together hold too much, those go whose message is unfinished longest: a client that sends as it should is done soon.
final class UnfinishedInput {
  /// What one of them holds; exists only while it holds something.
  final class Part {
    fileprivate unowned let holder: any InputHolder
    fileprivate var since: UInt64
    /// The message was finished meanwhile: what is counted the next time belongs to another one.
    var isDone = false
    fileprivate var bytes = 0
    fileprivate var place: Int

    fileprivate init(_ holder: any InputHolder, since: UInt64, place: Int) {
      self.holder = holder
      self.since = since
      self.place = place
    }
  }

  private static let hoardingInterval = Duration.milliseconds(100)

  private let gateway: GatewayState
  private let reactor: Reactor
  private let allowance: MemoryAllowance
  private var parts: [Part] = []
  private var hoarding: Timer?

  init(gateway: GatewayState, reactor: Reactor) {
    self.gateway = gateway
    self.reactor = reactor
    allowance = MemoryAllowance(of: gateway.receiveMemory.budget, among: gateway.threads)
  }

  /// Counts what the holder has now. `relieve` is to follow where that may be more than before.
  ///
  /// - Returns: what to give here the next time; nil where it holds nothing.
  func count(_ bytes: Int, of holder: any InputHolder, _ part: Part?) -> Part? {
    guard bytes > 0 else {
      if let part { remove(part) }
      return nil
    }
    let part = part ?? add(holder)
    if part.isDone {
      part.isDone = false
      part.since = reactor.now.nanoseconds
    }
    allowance.add(bytes - part.bytes)
    part.bytes = bytes
    return part
  }

  private func add(_ holder: any InputHolder) -> Part {
    let part = Part(holder, since: reactor.now.nanoseconds, place: parts.count)
    parts.append(part)
    watchHoarding()
    return part
  }

  private func remove(_ part: Part) {
    allowance.subtract(part.bytes)
    let last = parts.removeLast()
    if last !== part {
      last.place = part.place
      parts[part.place] = last
    }
    // A flood leaves no memory behind.
    if parts.isEmpty, parts.capacity > 1024 { parts = [] }
  }

  /// Lets those go that are unfinished longest, where too much is held.
  func relieve() {
    guard let target = allowance.target() else { return }
    for part in parts.sorted(by: { $0.since < $1.since }) where allowance.used > target {
      gateway.receiveMemory.countEviction(route: part.holder.routeName)
      part.holder.giveUpInput()
    }
  }

  /// While something is held, gives back what is above the fair share where another reactor asks for it.
  private func watchHoarding() {
    guard hoarding == nil else { return }
    let timer = reactor.timer { [unowned self] in
      hoarding = nil
      relieve()
      if !parts.isEmpty { watchHoarding() }
    }
    hoarding = timer
    timer.schedule(after: Self.hoardingInterval)
  }
}
