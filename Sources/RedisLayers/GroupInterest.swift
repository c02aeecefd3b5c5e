import ChannelLayers

/// A group that has members in this process, or had some a moment ago.
struct RedisGroup: Equatable {
  let name: String
  /// The name of this process's member in the group, after the `!`. A group that is wanted anew has a new one.
  let member: String
  let shard: Int
  /// The reactors that have members of it.
  fileprivate(set) var reactors: Set<Int> = []
  /// The reactors that had members of it in the process before, until those have had the time to come.
  fileprivate(set) var handed: Set<Int> = []
  /// The reactors that wait for the group to be joined.
  fileprivate(set) var waiting: Set<Int> = []
  /// Whether its events arrive.
  fileprivate(set) var isJoined = false
  fileprivate var idleSince: ContinuousClock.Instant?
  fileprivate var handedSince: ContinuousClock.Instant?
  fileprivate var isNeeded: Bool { !reactors.isEmpty || !handed.isEmpty }
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

  /// Goes on for another process, whose member the others still send to.
  mutating func resume(_ member: LayerState.Member, shard: Int) {
    var group = RedisGroup(name: member.group, member: member.name, shard: shard)
    group.handed = Set(member.reactors)
    // Until its first session is here, it is known, but not kept for ever.
    group.idleSince = .now
    group.handedSince = group.idleSince
    groups[member.group] = group
    namesByMember[member.name] = member.group
    lastMember = max(lastMember, Int(member.name.dropFirst()) ?? 0)
  }

  /// This process may have fewer reactors than the one before: the members of the others have come to those of here, in turn.
  mutating func fold(onto count: Int) {
    guard count > 0 else { return }
    for (name, group) in groups where group.handed.contains(where: { $0 >= count }) {
      groups[name]?.handed = Set(group.handed.map { $0 % count })
    }
  }

  /// The groups that may get events.
  var members: [LayerState.Member] {
    groups.values.map {
      LayerState.Member(of: $0.name, named: $0.member, reactors: $0.reactors.union($0.handed))
    }
  }

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
    groups.values.filter { $0.shard == shard && $0.isNeeded }
  }

  /// What has to be known there: what is wanted, and what may be at any moment.
  func known(_ shard: Int) -> [RedisGroup] {
    groups.values.filter { $0.shard == shard && ($0.isJoined || $0.isNeeded) }
  }

  /// The groups of the shard that nobody has wanted for a while. They stay on this list until they are `left`, and whoever
  /// wants one from now on joins it anew.
  mutating func takeLeaving(_ shard: Int, at now: ContinuousClock.Instant) -> [RedisGroup] {
    for group in groups.values where group.shard == shard {
      if let since = group.handedSince, now - since > Self.linger {
        groups[group.name]?.handed = []
        groups[group.name]?.handedSince = nil
      }
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
