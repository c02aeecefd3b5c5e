package import Bytes
import DequeModule
import JSON

/// The presence in one group: sessions of this process, and users and sessions of other processes if the layer has several.
///
/// It changes at once. `announce` collects many changes for the members.
package struct GroupPresence {
  typealias Instant = ContinuousClock.Instant

  /// How long a user without sessions is still shown, so that reloading a page causes no notices.
  static let linger = Duration.seconds(2)
  /// How often members are notified of more changes than a list has names.
  static let largeInterval = Duration.seconds(1)

  private struct User {
    /// Sessions of this process.
    var sessions = 0
    /// Other processes with sessions of the user.
    var processes = 0
    /// Set while the user has neither and is still shown.
    var lingersUntil: Instant?
    /// Whether the members have been notified of the user.
    var isAnnounced = false
    /// Whether it is among `changed`, and `changedHere`.
    var isChanged = false
    var isChangedHere = false

    var isGone: Bool { sessions == 0 && processes == 0 }
  }

  /// The sessions of another process in the group.
  private struct Peer {
    /// The sequence number of the last known change.
    var sequence: Int
    var users: Set<ExactText>
    var anonymous: Int
    /// Since when the process is missing from what is read from Redis.
    var missingSince: Instant?
  }

  private var users: [ExactText: User] = [:]
  private var first: FirstNames
  private let mostNamed: Int
  /// Sessions without identity, here and in other processes.
  private var anonymousHere = 0
  private var anonymousElsewhere = 0
  private var announcedAnonymous = 0
  private var peers: [String: Peer] = [:]
  /// Sessions of each reactor.
  private var reactors: [Int: Int] = [:]
  /// Users that may have come or gone since the last `announce`.
  private var changed: [ExactText] = []
  private var lingering: Deque<(user: ExactText, end: Instant)> = []
  /// Reactors with sessions that wait for the list.
  private var wanting: Set<Int> = []
  /// The number of the last notice.
  private var pass: Int
  /// When the next notice may be sent.
  private var notBefore: Instant?
  /// Users whose first session here has come, or whose last one has gone, since the last `takeChanges`; nil if there are no
  /// other processes.
  private var changedHere: [ExactText]?
  /// Whether the presence in other processes is known. Until then the members are not notified.
  var isSynced: Bool
  /// Whether the table will look at this group soon.
  var isQueued = false

  /// - Parameters:
  ///   - isShared: whether other processes may have sessions in the group, too.
  ///   - pass: the first number of its notices; different for two groups of the same name.
  init(isShared: Bool, pass: Int = 0, mostNamed: Int = PresenceList.mostUsers) {
    self.pass = pass
    changedHere = isShared ? [] : nil
    isSynced = !isShared
    self.mostNamed = mostNamed
    first = FirstNames(most: mostNamed)
  }

  /// Whether this process has sessions in it.
  var isUsed: Bool { !reactors.isEmpty }

  /// Whether `announce` has to be called again even without another change.
  var isUnfinished: Bool {
    isSynced && isUsed && !(changed.isEmpty && lingering.isEmpty && wanting.isEmpty)
  }

  // MARK: - In another process

  func state(of group: String) -> State {
    var state = State(group: group)
    state.announced = users.filter(\.value.isAnnounced).map(\.key.text)
    (state.anonymous, state.pass) = (announcedAnonymous, pass)
    return state
  }

  /// Knows whom the members know of. Who does not come back in a moment has left.
  mutating func resume(_ state: State, at now: Instant) {
    (announcedAnonymous, pass) = (state.anonymous, state.pass)
    for user in state.announced {
      let name = ExactText(text: user)
      update(name, at: now) { $0.isAnnounced = true }
      first.insert(name)
    }
  }

  /// A session of another process goes on here; it has the list already.
  mutating func resume(_ user: ExactText?, on reactor: Int) {
    _ = join(user, on: reactor)
    wanting.remove(reactor)
  }

  // MARK: - Sessions of this process

  /// - Returns: the number of the notice with the list for the session.
  mutating func join(_ user: ExactText?, on reactor: Int) -> Int {
    reactors[reactor, default: 0] += 1
    if let user {
      update(user) { $0.sessions += 1 }
      if users[user]?.sessions == 1 { changeHere(user) }
    } else {
      anonymousHere += 1
    }
    return want(on: reactor)
  }

  /// - Returns: whether the reactor has other sessions in the group.
  mutating func leave(_ user: ExactText?, on reactor: Int, at now: Instant) -> Bool {
    let left = (reactors[reactor] ?? 1) - 1
    reactors[reactor] = left > 0 ? left : nil
    if left <= 0 { wanting.remove(reactor) }
    if let user {
      update(user, at: now) { $0.sessions -= 1 }
      if users[user]?.sessions == 0 { changeHere(user) }
    } else {
      anonymousHere -= 1
    }
    return left > 0
  }

  /// - Returns: the number of the notice with the list.
  mutating func want(on reactor: Int) -> Int {
    wanting.insert(reactor)
    return pass + 1
  }

  private mutating func changeHere(_ user: ExactText) {
    guard changedHere != nil, users[user]?.isChangedHere == false else { return }
    users[user]?.isChangedHere = true
    changedHere?.append(user)
  }

  /// Notes that a user has come or gone.
  ///
  /// - Parameter now: nil if the user cannot have gone by this change.
  private mutating func update(_ name: ExactText, at now: Instant? = nil, _ change: (inout User) -> Void) {
    var user = users[name] ?? User()
    change(&user)
    if !user.isGone {
      user.lingersUntil = nil
    } else if let now {
      user.lingersUntil = now + Self.linger
      lingering.append((name, now + Self.linger))
    }
    if !user.isChanged { changed.append(name) }
    user.isChanged = true
    users[name] = user
  }

  // MARK: - What is told

  /// A notice for the members of the group.
  struct News {
    var notices: [PresenceNotice]
    /// The count of the group after all changes.
    var count: Int
    /// The reactors with members.
    var reactors: [Int]
    var list: PresenceList?
    /// The reactors whose members wait for the list.
    var wanting: Set<Int>
    var pass: Int
  }

  /// - Returns: nil if there is nothing to announce, or it is too early.
  mutating func announce(at now: Instant) -> News? {
    guard isSynced, notBefore.map({ now >= $0 }) ?? true else { return nil }
    endLingering(at: now)
    let usersBefore = users.count - changed.count { users[$0]?.isAnnounced == false }
    var notices: [PresenceNotice] = []
    for name in changed { notices += settle(name) }
    changed = []
    let isLarge = max(usersBefore, users.count) > mostNamed
    let anonymous = anonymousHere + anonymousElsewhere
    notBefore = users.count + anonymous > mostNamed ? now + Self.largeInterval : nil
    if isLarge, !notices.isEmpty || anonymous != announcedAnonymous {
      notices = [.counted(anonymous: anonymous)]
    } else if anonymous != announcedAnonymous {
      notices.append(.counted(anonymous: anonymous))
    }
    announcedAnonymous = anonymous
    guard !notices.isEmpty || !wanting.isEmpty else { return nil }
    pass += 1
    defer { wanting = [] }
    return News(
      notices: notices, count: users.count + anonymous, reactors: Array(reactors.keys),
      list: wanting.isEmpty ? nil : list(), wanting: wanting, pass: pass)
  }

  private mutating func endLingering(at now: Instant) {
    while let (name, end) = lingering.first, end <= now {
      lingering.removeFirst()
      // A user who came back and left again is in the list twice.
      if let end = users[name]?.lingersUntil, end <= now { update(name) { $0.lingersUntil = nil } }
    }
  }

  /// Compares a user that may have come or gone with what was announced.
  private mutating func settle(_ name: ExactText) -> [PresenceNotice] {
    guard var user = users[name] else { return [] }
    user.isChanged = false
    let isThere = !user.isGone || user.lingersUntil != nil
    let isNews = isThere != user.isAnnounced
    user.isAnnounced = isThere
    users[name] = isThere ? user : nil
    guard isNews else { return [] }
    if isThere { first.insert(name) } else { first.remove(name) }
    return [isThere ? .joined(name) : .left(name)]
  }

  /// The list as it was announced.
  mutating func list() -> PresenceList {
    PresenceList(
      first: first.prefix(of: users.keys), users: users.count, anonymous: anonymousHere + anonymousElsewhere)
  }

  // MARK: - Towards other processes

  /// The changes here since the last call, or the whole state.
  mutating func takeChanges(all: Bool) -> LocalChanges {
    defer { changedHere = [] }
    for name in changedHere ?? [] { users[name]?.isChangedHere = false }
    var changes = LocalChanges(anonymous: anonymousHere, isUsed: isUsed)
    if all {
      changes.joined = users.filter { $0.value.sessions > 0 }.map(\.key)
    } else {
      for name in changedHere ?? [] {
        if users[name].map({ $0.sessions > 0 }) ?? false {
          changes.joined.append(name)
        } else {
          changes.left.append(name)
        }
      }
    }
    return changes
  }

  /// The changes of this process in a group.
  package struct LocalChanges {
    package var joined: [ExactText] = []
    package var left: [ExactText] = []
    package var anonymous: Int
    /// Whether the process still has sessions in the group.
    package var isUsed: Bool
  }

  // MARK: - From other processes

  package enum Application: Equatable {
    case applied
    /// The change is known already.
    case stale
    /// An earlier change was missed, so the whole state has to be read.
    case gap
  }

  mutating func apply(_ change: PeerChange, at now: Instant) -> Application {
    let known = peers[change.process]
    if let known, change.sequence <= known.sequence { return .stale }
    switch change.kind {
    case .gone:
      guard known != nil else { return .stale }
      remove(change.process, at: now)
    case .all: set(change.process, change.sequence, change.joined, change.anonymous, at: now)
    case .change:
      guard var peer = known, change.previous == peer.sequence else { return .gap }
      for user in change.joined where peer.users.insert(user).inserted {
        update(user) { $0.processes += 1 }
      }
      for user in change.left where peer.users.remove(user) != nil {
        update(user, at: now) { $0.processes -= 1 }
      }
      anonymousElsewhere += change.anonymous - peer.anonymous
      peers[change.process] = Peer(
        sequence: change.sequence, users: peer.users, anonymous: change.anonymous)
    }
    return .applied
  }

  /// Applies the state of all processes. A process that is missing is kept for a while, because Redis may have lost it; it then
  /// writes itself again.
  mutating func load(_ states: [PeerState], at now: Instant) {
    for state in states { set(state.process, state.sequence, state.users, state.anonymous, at: now) }
    let present = Set(states.map(\.process))
    for process in peers.keys where !present.contains(process) && peers[process]?.missingSince == nil {
      peers[process]?.missingSince = now
    }
    isSynced = true
  }

  private mutating func set(
    _ process: String, _ sequence: Int, _ users: [ExactText], _ anonymous: Int, at now: Instant
  ) {
    let before = peers[process]
    let (old, new) = (before?.users ?? [], Set(users))
    for user in new.subtracting(old) { update(user) { $0.processes += 1 } }
    for user in old.subtracting(new) { update(user, at: now) { $0.processes -= 1 } }
    anonymousElsewhere += anonymous - (before?.anonymous ?? 0)
    peers[process] = Peer(sequence: sequence, users: new, anonymous: anonymous)
  }

  /// The process has ended, or has no more sessions in the group.
  mutating func remove(_ process: String, at now: Instant) {
    guard let peer = peers.removeValue(forKey: process) else { return }
    anonymousElsewhere -= peer.anonymous
    for user in peer.users { update(user, at: now) { $0.processes -= 1 } }
  }

  /// Removes processes that have been missing since then.
  mutating func removeMissing(since time: Instant, at now: Instant) {
    let gone = peers.filter { $0.value.missingSince.map { $0 <= time } ?? false }.keys
    for process in gone { remove(process, at: now) }
  }
}

/// A change of another process in a group.
package struct PeerChange: Sendable, Hashable {
  package enum Kind: String, Sendable {
    case change
    /// `joined` is the whole state.
    case all
    /// The process has no more sessions in the group.
    case gone
  }

  package var kind: Kind
  package var process: String
  /// Counts up with each change of the process.
  package var sequence: Int
  /// The sequence number of the process's previous change of this group.
  package var previous: Int
  package var joined: [ExactText]
  package var left: [ExactText]
  /// How many anonymous sessions the process has now.
  package var anonymous: Int

  package init(
    _ kind: Kind = .change, process: String, sequence: Int, previous: Int = 0, joined: [ExactText] = [],
    left: [ExactText] = [], anonymous: Int = 0
  ) {
    (self.kind, self.process, self.sequence, self.previous) = (kind, process, sequence, previous)
    (self.joined, self.left, self.anonymous) = (joined, left, anonymous)
  }
}

/// The state of one process in a group.
package struct PeerState: Sendable, Hashable {
  package var process: String
  package var sequence: Int
  package var users: [ExactText]
  package var anonymous: Int

  package init(process: String, sequence: Int, users: [ExactText], anonymous: Int) {
    (self.process, self.sequence) = (process, sequence)
    (self.users, self.anonymous) = (users, anonymous)
  }
}

extension PresenceList {
  /// - Parameters:
  ///   - first: sorted, and no more than a list has.
  ///   - users: how many users there are.
  init(first: ArraySlice<ExactText>, users: Int, anonymous: Int) {
    var bytes = 0
    let named = first.prefix { name in
      bytes += name.text.utf8.count
      return bytes <= Self.mostBytes
    }
    self.init(users: named.map(\.text), anonymous: anonymous, count: users + anonymous)
  }

  /// The list of all processes together.
  package init(_ states: [PeerState]) {
    let users = Set(states.flatMap(\.users))
    let first = users.sorted(by: FirstNames.precedes).prefix(Self.mostUsers)
    self.init(first: first, users: users.count, anonymous: states.reduce(0) { $0 + $1.anonymous })
  }
}
