import Transport

/// A session whose peer has begun a message that is not finished.
protocol InputHolder: AnyObject {
  var routeName: String { get }
  /// There is no memory for the message any more: the session drops it, tells its peer, and ends.
  func giveUpInput()
}

/// The bytes that one worker has read and not handled, and the bound on them (`limits.receive_memory`): unfinished messages,
/// and bytes that connections have left until it is their turn or there is room for the answers.
///
/// If all together hold too much, the sessions are ended whose message has been unfinished for the longest time, or that made
/// no progress for the longest time. A well-behaved client is done soon.
final class UnfinishedInput {
  /// The bytes of one session. Exists only while it holds some.
  final class Part {
    /// Unowned: a holder gives its part back before it ends.
    fileprivate unowned let holder: any InputHolder
    fileprivate var since: UInt64
    /// The message was finished meanwhile. The next count belongs to another message.
    var isDone = false
    fileprivate var bytes = 0
    fileprivate var place: Int

    fileprivate init(_ holder: any InputHolder, since: UInt64, place: Int) {
      self.holder = holder
      self.since = since
      self.place = place
    }
  }

  private let process: ProcessState
  private let reactor: Reactor
  private let allowance: MemoryAllowance
  private var parts: [Part] = []
  private var hoarding: HoardingWatch?
  private var isRelieving = false

  init(_ process: ProcessState, reactor: Reactor) {
    self.process = process
    self.reactor = reactor
    allowance = MemoryAllowance(of: process.receiveMemory.budget, among: process.threads)
    // Unowned, here and below: it belongs to the worker, which lives while its reactor runs.
    hoarding = HoardingWatch(reactor) { [unowned self] in
      relieve()
      return allowance.used > 0
    }
    reactor.boundReading(by: allowance) { [unowned self] in
      hoarding?.begin()
    } relieve: { [unowned self] in
      relieve()
    }
  }

  /// Counts the bytes that the holder has now. `relieve` must be called afterwards if that may be more than before.
  ///
  /// - Returns: the part for the next call; nil if the holder holds nothing.
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
    hoarding?.begin()
    return part
  }

  private func remove(_ part: Part) {
    allowance.subtract(part.bytes)
    let last = parts.removeLast()
    if last !== part {
      last.place = part.place
      parts[part.place] = last
    }
    // After a flood, the list does not keep its memory.
    if parts.isEmpty, parts.capacity > 1024 { parts = [] }
  }

  /// Ends the sessions with the oldest unfinished messages, if too much is held.
  ///
  /// A session that ends counts anew, and so leads here again. The sessions after it have their turn all the same, from the first call.
  func relieve() {
    guard !isRelieving, let target = allowance.target() else { return }
    isRelieving = true
    defer { isRelieving = false }
    var held: [(since: UInt64, soon: Int, Holding)] = parts.map { ($0.since, 0, .unfinished($0)) }
    held += reactor.unreadConnections.map { ($0.since, $0.soon, .unread($0.connection)) }
    // What the sessions that are ended here give back a little later.
    var soon = 0
    for holding in held.sorted(by: { $0.since < $1.since }) where allowance.used - soon > target {
      letGo(holding.2)
      soon += holding.soon
    }
  }

  private enum Holding {
    case unfinished(Part)
    case unread(Connection)
  }

  private func letGo(_ holding: Holding) {
    switch holding {
    case .unfinished(let part):
      // A session that has ended meanwhile holds nothing.
      guard part.place < parts.count, parts[part.place] === part else { return }
      letGo(part.holder)
    case .unread(let connection):
      guard connection.hasUnread else { return }
      guard let holder = connection.handler as? any InputHolder else {
        let request = (connection.handler as? PendingConnection)?.request
        let stream = connection.handler as? any LiveSession
        process.receiveMemory.countEviction(
          route: request?.route ?? stream?.routeName, path: request.map { RefusalLog.printable($0.target) })
        return connection.abort()
      }
      letGo(holder)
    }
  }

  private func letGo(_ holder: any InputHolder) {
    process.receiveMemory.countEviction(route: holder.routeName)
    holder.giveUpInput()
  }
}
