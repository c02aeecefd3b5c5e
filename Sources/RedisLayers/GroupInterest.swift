/// A group that has members in this process, or had some a moment ago.
struct RedisGroup: Equatable {
  let name: String
  /// The name of this process's member in the group, after the `!`. A group that is wanted anew has a new one.
  let member: String
  let shard: Int
  /// The reactors that have members of it.
  fileprivate(set) var reactors: Set<Int> = []
  /// The reactors that wait for the group to be joined.
  fileprivate(set) var waiting: Set<Int> = []
  /// Whether its events arrive.
  fileprivate(set) var isJoined = false
  fileprivate var idleSince: ContinuousClock.Instant?
}

/// The groups that this process needs, and those that it has joined. A group is joined for its first member, and left some time
/// after its last member has left.
struct GroupInterest {
  /// How long a group without members is kept, for members that come back soon.
  static let linger = Duration.seconds(5)

  private var groups: [String: RedisGroup] = [:]
  private var namesByMember: [String: String] = [:]
  /// Groups without members that have not been left yet.
  private var leaving: [RedisGroup] = []
  private var lastMember = 0

  subscript(name: String) -> RedisGroup? { groups[name] }

  /// The group of this process's member with this name.
  func group(ofMember member: String) -> RedisGroup? {
    namesByMember[member].flatMap { groups[$0] }
  }

  /// A reactor's first member has come.
  ///
  /// - Returns: whether its events arrive already. If not, it has to be joined, and `settle` called with the result.
  mutating func want(_ name: String, on reactor: Int, shard: @autoclosure () -> Int) -> Bool {
    var group = groups[name] ?? add(name, shard())
    group.reactors.insert(reactor)
    group.idleSince = nil
    if !group.isJoined { group.waiting.insert(reactor) }
    groups[name] = group
    return group.isJoined
  }

  private mutating func add(_ name: String, _ shard: Int) -> RedisGroup {
    lastMember += 1
    let group = RedisGroup(name: name, member: "g\(lastMember)", shard: shard)
    namesByMember[group.member] = name
    return group
  }

  /// A reactor's last member has gone.
  mutating func unwant(_ name: String, on reactor: Int, at now: ContinuousClock.Instant) {
    groups[name]?.reactors.remove(reactor)
    groups[name]?.waiting.remove(reactor)
    if groups[name]?.reactors.isEmpty == true { groups[name]?.idleSince = now }
  }

  /// The group was joined, or cannot be joined now. Returns the reactors that waited for it.
  mutating func settle(_ name: String, isJoined: Bool) -> Set<Int> {
    groups[name]?.isJoined = isJoined
    defer { groups[name]?.waiting = [] }
    return groups[name]?.waiting ?? []
  }

  /// The shard is lost, and with it all memberships there, including those of groups without members.
  mutating func lost(_ shard: Int) {
    for (name, group) in groups where group.shard == shard { groups[name]?.isJoined = false }
  }

  /// What has to be joined there, again or at last.
  func wanted(_ shard: Int) -> [RedisGroup] {
    groups.values.filter { $0.shard == shard && !$0.reactors.isEmpty }
  }

  /// What has to be known there: what is wanted, and what may be at any moment.
  func known(_ shard: Int) -> [RedisGroup] {
    groups.values.filter { $0.shard == shard && ($0.isJoined || !$0.reactors.isEmpty) }
  }

  /// The groups of the shard that nobody has wanted for a while. They stay on this list until they are `left`, and whoever
  /// wants one from now on joins it anew.
  mutating func takeLeaving(_ shard: Int, at now: ContinuousClock.Instant) -> [RedisGroup] {
    for group in groups.values where group.shard == shard {
      guard let since = group.idleSince, now - since > Self.linger else { continue }
      groups[group.name] = nil
      namesByMember[group.member] = nil
      leaving.append(group)
    }
    return leaving.filter { $0.shard == shard }
  }

  mutating func left(_ gone: [RedisGroup]) {
    let members = Set(gone.map(\.member))
    leaving.removeAll { members.contains($0.member) }
  }

  /// Everything that may still be in Redis there.
  func all(_ shard: Int) -> [RedisGroup] {
    (groups.values + leaving).filter { $0.shard == shard }
  }
}
