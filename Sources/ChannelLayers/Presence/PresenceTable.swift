import Bytes
import JSON
import Synchronization
import Transport

/// The presence in the groups of one layer, for the whole process.
///
/// Sessions come and go on their reactors, and each change takes one short lock. One task collects the notices, at most ten
/// times a second and once for all members.
package final class PresenceTable: Sendable {
  /// The time between two checks for changes.
  static let interval = Duration.milliseconds(100)

  private let stripes = Striped<[String: GroupPresence]>([:])
  private let ends = Mutex<[Int: Mailbox<[PresenceNews]>]>([:])
  private let queue = Mutex<[String]>([])
  /// What the members of groups knew in another process, until the first of them is here, or all are that come.
  private let handed = Mutex<[String: GroupPresence.State]>([:])
  /// Groups since the start.
  private let groupCount = Atomic<Int>(0)
  private let arrivals: AsyncStream<Void>
  private let arrival: AsyncStream<Void>.Continuation
  /// Called for each group in which the sessions of this process have changed; nil if there are no other processes.
  private let changedHere: (@Sendable (String) -> Void)?

  package init(changedHere: (@Sendable (String) -> Void)? = nil) {
    self.changedHere = changedHere
    (arrivals, arrival) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  // MARK: - From reactors

  func add(_ mailbox: Mailbox<[PresenceNews]>, of reactor: Int) {
    ends.withLock { $0[reactor] = mailbox }
  }

  /// Adds a session, and returns the number of the notice with the list for it.
  func join(_ group: String, _ user: ExactText?, on reactor: Int) -> Int {
    defer { changedHere?(group) }
    return update(group) { $0.join(user, on: reactor) }
  }

  /// - Returns: whether the reactor has other sessions in the group.
  func leave(_ group: String, _ user: ExactText?, on reactor: Int) -> Bool {
    defer { changedHere?(group) }
    return update(group) { $0.leave(user, on: reactor, at: .now) }
  }

  /// - Returns: the number of the notice with the list.
  func want(_ group: String, on reactor: Int) -> Int {
    update(group) { $0.want(on: reactor) }
  }

  private func update<Result>(_ group: String, _ change: (inout GroupPresence) -> Result) -> Result {
    let isShared = changedHere != nil
    let (result, isNew) = stripes[group].part.withLock { groups in
      var presence = groups.removeValue(forKey: group) ?? newGroup(group)
      let result = change(&presence)
      // If other processes may have sessions in the group, it is kept until they are notified that none is left here.
      let isNew = !presence.isQueued && presence.isSynced && presence.isUsed
      if isNew { presence.isQueued = true }
      if isShared || presence.isUsed { groups[group] = presence }
      return (result, isNew)
    }
    if isNew { enqueue([group]) }
    return result
  }

  private func newGroup(_ group: String) -> GroupPresence {
    var presence = GroupPresence(
      isShared: changedHere != nil, pass: groupCount.add(1, ordering: .relaxed).newValue << 32)
    // Hardly ever is there one.
    if let state = handed.withLock({ $0.isEmpty ? nil : $0.removeValue(forKey: group) }) {
      presence.resume(state, at: .now)
    }
    return presence
  }

  // MARK: - In another process

  /// What the members of all groups know of each other.
  package var states: [GroupPresence.State] {
    stripes.all.flatMap { stripe in
      stripe.part.withLock { groups in
        groups.filter(\.value.isUsed).map { $0.value.state(of: $0.key) }
      }
    }
  }

  /// Takes over what another process knew, before the first session comes.
  package func resume(_ states: [GroupPresence.State]) {
    handed.withLock { handed in
      for state in states { handed[state.group] = state }
    }
  }

  /// The session of another process goes on here.
  func resume(_ group: String, _ user: ExactText?, on reactor: Int) {
    defer { changedHere?(group) }
    update(group) { $0.resume(user, on: reactor) }
  }

  /// Tells what is still to be told, instead of in a moment: before its state is taken.
  package func announceNow() {
    announce(at: .now)
  }

  private func enqueue(_ groups: [String]) {
    guard !groups.isEmpty else { return }
    queue.withLock { $0 += groups }
    arrival.yield()
  }

  // MARK: - To reactors

  /// Sends the members of groups their notices, until `stop`. Sessions of another process that go on here have come before.
  package func run() async {
    // Whoever comes to the other groups later has not known who was there.
    handed.withLock { $0 = [:] }
    for await _ in arrivals {
      // What changes meanwhile is told together.
      while let full = ends.withLock({ $0.values.first(where: \.load.isOver)?.load }), !Task.isCancelled {
        await full.room()
      }
      announce(at: .now)
      _ = try? await Task.sleep(for: Self.interval)
    }
  }

  package func stop() {
    arrival.finish()
  }

  private func announce(at now: ContinuousClock.Instant) {
    let news = announcements(at: now)
    let ends = ends.withLock { $0 }
    // A reactor that takes no messages any more is stopping, and its sessions are being closed.
    for (reactor, news) in news { ends[reactor]?.post(news, weight: news.reduce(0) { $0 + $1.weight }) }
  }

  /// The notices for each reactor since the last call.
  func announcements(at now: ContinuousClock.Instant) -> [Int: [PresenceNews]] {
    let groups = queue.withLock { queue in
      defer { queue = [] }
      return queue
    }
    var news: [Int: [PresenceNews]] = [:]
    var unfinished: [String] = []
    for group in groups {
      let told = stripes[group].part.withLock { groups -> GroupPresence.News? in
        guard var presence = groups.removeValue(forKey: group) else { return nil }
        let told = presence.announce(at: now)
        presence.isQueued = presence.isUnfinished
        if presence.isQueued { unfinished.append(group) }
        groups[group] = presence
        return told
      }
      guard let told else { continue }
      let events = told.notices.map { Event(presence: $0.text(count: told.count)) }
      let list = told.list.map { list in
        var text: [UInt8] = []
        list.appendJSON(to: &text)
        return Event(presence: text)
      }
      for reactor in told.reactors {
        let isWanted = told.wanting.contains(reactor)
        guard isWanted || !events.isEmpty else { continue }
        news[reactor, default: []].append(
          PresenceNews(group: group, events: events, list: isWanted ? list : nil, pass: told.pass))
      }
    }
    enqueue(unfinished)
    return news
  }

  /// - Returns: nil if this process has no sessions in the group and other processes may have some.
  package func list(of group: String) -> PresenceList? {
    stripes[group].part.withLock { groups in
      guard groups[group] != nil else {
        return changedHere == nil ? PresenceList(users: [], anonymous: 0, count: 0) : nil
      }
      // Without a copy at hand, which the list would be made in.
      return groups[group]?.isSynced == true && groups[group]?.isUsed == true ? groups[group]?.list() : nil
    }
  }

  // MARK: - Other processes

  /// The changes of the sessions here since the last call, or the whole state. A group without sessions is forgotten by this
  /// call.
  ///
  /// - Returns: nil if the group is not known.
  package func takeChanges(of group: String, all: Bool) -> GroupPresence.LocalChanges? {
    stripes[group].part.withLock { groups in
      let changes = groups[group]?.takeChanges(all: all)
      if changes?.isUsed == false { groups[group] = nil }
      return changes
    }
  }

  package func apply(_ change: PeerChange, to group: String) -> GroupPresence.Application {
    updateKnown(group) { $0.apply(change, at: .now) } ?? .stale
  }

  package func load(_ states: [PeerState], of group: String) {
    updateKnown(group) { $0.load(states, at: .now) }
  }

  package func remove(process: String, from group: String) {
    updateKnown(group) { $0.remove(process, at: .now) }
  }

  /// Removes processes that have been missing since then.
  package func removeMissing(from group: String, since time: ContinuousClock.Instant) {
    updateKnown(group) { $0.removeMissing(since: time, at: .now) }
  }

  /// Shows the known presence although the other processes cannot be asked.
  package func show(_ group: String) {
    updateKnown(group) { $0.isSynced = true }
  }

  @discardableResult
  private func updateKnown<Result>(_ group: String, _ change: (inout GroupPresence) -> Result) -> Result? {
    let isKnown = stripes[group].part.withLock { $0[group] != nil }
    return isKnown ? update(group, change) : nil
  }
}

/// A reactor's notices for the members of a group.
package struct PresenceNews: Sendable {
  var group: String
  /// For all members. No event depends on another one.
  var events: [Event]
  /// The list, for members that wait since this notice or an earlier one.
  var list: Event?
  var pass: Int

  /// Roughly its memory, in bytes.
  fileprivate var weight: Int {
    events.reduce(128 + (list?.size ?? 0)) { $0 + $1.size }
  }
}
