import DequeModule
import JSON

/// Who is in one group: sessions of this process, and users and sessions of others where the layer has several.
///
/// It changes at once; its members are told by `announce`, of many changes together.
struct GroupPresence {
  typealias Instant = ContinuousClock.Instant

  /// How long somebody who is gone from everywhere is still shown: a page that is loaded anew makes no noise.
  static let linger = Duration.seconds(2)
  /// How often a group is told news in which more are than a list has names.
  static let largeInterval = Duration.seconds(1)

  private struct User {
    /// Of this process.
    var sessions = 0
    /// Other processes that have sessions of it.
    var processes = 0
    /// Set while it has neither and is shown all the same.
    var lingersUntil: Instant?
    /// Whether the members have been told of it.
    var isAnnounced = false
    /// Whether it is among `changed`, and `changedHere`.
    var isChanged = false
    var isChangedHere = false

    var isGone: Bool { sessions == 0 && processes == 0 }
  }

  /// What another process has in the group.
  private struct Peer {
    /// Of the last change that is known of.
    var sequence: Int
    var users: Set<ExactText>
    var anonymous: Int
    /// Since when it is not where it was read before.
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
  /// Users that have come, gone, or may have, since the last `announce`.
  private var changed: [ExactText] = []
  private var lingering: Deque<(user: ExactText, end: Instant)> = []
  /// Reactors with sessions that wait for the list.
  private var wanting: Set<Int> = []
  /// Of the last news.
  private var pass: Int
  /// When the next news may be told.
  private var notBefore: Instant?
  /// Users whose first session here has come, or whose last one has gone, since the last `takeChanges`; nil where nobody takes them.
  private var changedHere: [ExactText]?
  /// Whether it is known who is there in other processes; until then nothing is told.
  var isSynced: Bool
  /// Whether the table looks at it soon.
  var isQueued = false

  /// - Parameters:
  ///   - isShared: whether other processes have sessions in the group, too.
  ///   - pass: what its passes are counted from: never the same for two groups of one name.
  init(isShared: Bool, pass: Int = 0, mostNamed: Int = PresenceList.mostUsers) {
    self.pass = pass
    changedHere = isShared ? [] : nil
    isSynced = !isShared
    self.mostNamed = mostNamed
    first = FirstNames(most: mostNamed)
  }

  /// Whether this process has sessions in it.
  var isUsed: Bool { !reactors.isEmpty }

  /// Whether `announce` has to be called again, without another change.
  var isUnfinished: Bool {
    isSynced && isUsed && !(changed.isEmpty && lingering.isEmpty && wanting.isEmpty)
  }

  // MARK: - Sessions of this process

  /// - Returns: the pass with whose list the session is told who is there.
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

  /// - Returns: whether the reactor has other sessions there.
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

  /// - Returns: the pass whose list it is.
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
  /// - Parameter now: nil where it cannot be gone by this.
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

  /// What the members of the group are to be told now.
  struct News {
    var notices: [PresenceNotice]
    /// Of the group, after all of them.
    var count: Int
    /// The reactors with members.
    var reactors: [Int]
    var list: PresenceList?
    /// Those of them that wait for the list.
    var wanting: Set<Int>
    var pass: Int
  }

  /// - Returns: nil where there is nothing to tell, or it is not time yet.
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
      // Somebody who came back and went again stands there twice.
      if let end = users[name]?.lingersUntil, end <= now { update(name) { $0.lingersUntil = nil } }
    }
  }

  /// Looks at a user that may have come or gone.
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

  /// As it was announced.
  mutating func list() -> PresenceList {
    PresenceList(
      first: first.prefix(of: users.keys), users: users.count, anonymous: anonymousHere + anonymousElsewhere)
  }

  // MARK: - Towards other processes

  /// What has changed here since the last time, or all there is.
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

  /// What one process has changed.
  struct LocalChanges {
    var joined: [ExactText] = []
    var left: [ExactText] = []
    var anonymous: Int
    /// Whether it still has sessions there.
    var isUsed: Bool
  }

  // MARK: - From other processes

  enum Application: Equatable {
    case applied
    /// It is known already.
    case stale
    /// Something before it was missed: the whole state has to be read.
    case gap
  }

  mutating func apply(_ change: PeerChange, at now: Instant) -> Application {
    if change.isGone {
      guard let peer = peers[change.process] else { return .stale }
      guard change.sequence > peer.sequence else { return .stale }
      remove(change.process, at: now)
      return .applied
    }
    if change.isAll {
      if let peer = peers[change.process], change.sequence <= peer.sequence { return .stale }
      set(change.process, change.sequence, Set(change.joined), change.anonymous, at: now)
      return .applied
    }
    guard var peer = peers[change.process] else { return .gap }
    guard change.sequence > peer.sequence else { return .stale }
    guard change.previous == peer.sequence else { return .gap }
    for user in change.joined where peer.users.insert(user).inserted {
      update(user) { $0.processes += 1 }
    }
    for user in change.left where peer.users.remove(user) != nil {
      update(user, at: now) { $0.processes -= 1 }
    }
    anonymousElsewhere += change.anonymous - peer.anonymous
    peer.anonymous = change.anonymous
    peer.sequence = change.sequence
    peer.missingSince = nil
    peers[change.process] = peer
    return .applied
  }

  /// Takes what was read of all processes. One that is not there any more is kept for a while: Redis may have lost it, and then
  /// it writes itself down again.
  mutating func load(_ states: [PeerState], at now: Instant) {
    for state in states { set(state.process, state.sequence, Set(state.users), state.anonymous, at: now) }
    let present = Set(states.map(\.process))
    for process in peers.keys where !present.contains(process) && peers[process]?.missingSince == nil {
      peers[process]?.missingSince = now
    }
    isSynced = true
  }

  private mutating func set(
    _ process: String, _ sequence: Int, _ names: Set<ExactText>, _ anonymous: Int, at now: Instant
  ) {
    let before = peers[process]
    for user in names where before?.users.contains(user) != true { update(user) { $0.processes += 1 } }
    for user in before?.users ?? [] where !names.contains(user) {
      update(user, at: now) { $0.processes -= 1 }
    }
    anonymousElsewhere += anonymous - (before?.anonymous ?? 0)
    peers[process] = Peer(sequence: sequence, users: names, anonymous: anonymous)
  }

  /// The process has gone, or has nobody in the group any more.
  mutating func remove(_ process: String, at now: Instant) {
    guard let peer = peers.removeValue(forKey: process) else { return }
    anonymousElsewhere -= peer.anonymous
    for user in peer.users { update(user, at: now) { $0.processes -= 1 } }
  }

  /// Lets go of processes that have been missing since then.
  mutating func removeMissing(since time: Instant, at now: Instant) {
    let gone = peers.filter { $0.value.missingSince.map { $0 <= time } ?? false }.keys
    for process in gone { remove(process, at: now) }
  }
}

/// What another process has changed in a group.
struct PeerChange: Sendable, Hashable {
  var process: String
  /// Counts up with each change of the process.
  var sequence: Int
  /// Of its change of this group before this one.
  var previous = 0
  var joined: [ExactText] = []
  var left: [ExactText] = []
  /// How many sessions without identity it has now.
  var anonymous = 0
  /// Whether `joined` is everybody.
  var isAll = false
  /// Whether it has nobody there any more.
  var isGone = false
}

/// What one process has in a group.
struct PeerState: Sendable, Hashable {
  var process: String
  var sequence: Int
  var users: [ExactText]
  var anonymous: Int
}

extension PresenceList {
  /// - Parameters:
  ///   - first: sorted, and not more than a list has.
  ///   - users: how many there are.
  init(first: ArraySlice<ExactText>, users: Int, anonymous: Int) {
    var bytes = 0
    let named = first.prefix { name in
      bytes += name.text.utf8.count
      return bytes <= Self.mostBytes
    }
    self.init(users: named.map(\.text), anonymous: anonymous, count: users + anonymous)
  }

  /// Of all processes together.
  init(_ states: [PeerState]) {
    let users = Set(states.flatMap(\.users))
    let first = users.sorted(by: FirstNames.precedes).prefix(Self.mostUsers)
    self.init(first: first, users: users.count, anonymous: states.reduce(0) { $0 + $1.anonymous })
  }
}
