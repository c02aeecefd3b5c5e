import Bytes
import JSON
import TestSupport
import Testing

@testable import ChannelLayers

private func name(_ text: String) -> ExactText { ExactText(text: text) }

/// What a client makes of what it is told: a list, and then changes.
private struct Client: Equatable {
  var users: Set<String> = []
  var anonymous = 0
  var count = 0

  init(_ list: PresenceList) {
    users = Set(list.users)
    anonymous = list.anonymous
    count = list.count
  }

  mutating func hear(_ news: GroupPresence.News) {
    for notice in news.notices {
      switch notice {
      case .joined(let user): users.insert(user.text)
      case .left(let user): users.remove(user.text)
      case .counted(let number): anonymous = number
      }
    }
    count = news.count
  }
}

struct GroupPresenceTests {
  private let start = ContinuousClock.now

  /// After everybody who lingers is gone.
  private func later(_ seconds: Int) -> ContinuousClock.Instant { start + .seconds(seconds) }

  @Test func `a user is there once, from the first session to the last`() {
    var group = GroupPresence(isShared: false)
    _ = group.join(name("alice"), on: 0)
    #expect(group.announce(at: start)?.notices == [.joined(name("alice"))])
    _ = group.join(name("alice"), on: 1)
    #expect(group.announce(at: start)?.notices == [])
    _ = group.leave(name("alice"), on: 0, at: start)
    #expect(group.announce(at: later(5)) == nil)
    _ = group.join(nil, on: 0)
    _ = group.leave(name("alice"), on: 1, at: later(5))
    let news = group.announce(at: later(10))
    #expect(news?.notices == [.left(name("alice")), .counted(anonymous: 1)])
    #expect(news?.count == 1)
  }

  @Test func `who comes right back was never gone`() {
    var group = GroupPresence(isShared: false)
    _ = group.join(name("bob"), on: 0)
    _ = group.join(name("alice"), on: 0)
    _ = group.announce(at: start)
    // Again and again: each time the two seconds begin anew.
    for second in stride(from: 0, to: 10, by: 1) {
      _ = group.leave(name("alice"), on: 0, at: later(second))
      #expect(group.announce(at: later(second)) == nil)
      #expect(group.isUnfinished)
      _ = group.join(name("alice"), on: 0)
      #expect(group.announce(at: later(second))?.notices == [])
    }
    // Somebody else does not have to wait for that.
    _ = group.leave(name("bob"), on: 0, at: later(10))
    _ = group.leave(name("alice"), on: 0, at: later(11))
    _ = group.join(nil, on: 0)
    #expect(group.announce(at: later(12))?.notices == [.left(name("bob")), .counted(anonymous: 1)])
    #expect(group.announce(at: later(13))?.notices == [.left(name("alice"))])
    #expect(!group.isUnfinished)
  }

  @Test func `many changes of a user are one`() {
    var group = GroupPresence(isShared: false)
    _ = group.join(nil, on: 0)
    for _ in 0..<5 {
      _ = group.join(name("alice"), on: 0)
      _ = group.leave(name("alice"), on: 0, at: start)
    }
    _ = group.join(name("alice"), on: 0)
    #expect(group.announce(at: start)?.notices == [.joined(name("alice")), .counted(anonymous: 1)])
  }

  @Test func `a large group is told numbers, once a second`() {
    var group = GroupPresence(isShared: false, mostNamed: 3)
    for user in ["a", "b", "c"] { _ = group.join(name(user), on: 0) }
    #expect(group.announce(at: start)?.notices.count == 3)
    for user in ["d", "e"] { _ = group.join(name(user), on: 0) }
    let news = group.announce(at: start)
    #expect(news?.notices == [.counted(anonymous: 0)])
    #expect(news?.count == 5)
    #expect(news?.list?.users == ["a", "b", "c"])
    _ = group.join(name("f"), on: 0)
    #expect(group.announce(at: start + .milliseconds(900)) == nil)
    #expect(group.isUnfinished)
    #expect(group.announce(at: later(1))?.count == 6)
    // What makes it small again is told in numbers, too.
    for user in ["a", "b", "c", "d"] { _ = group.leave(name(user), on: 0, at: later(1)) }
    let after = group.announce(at: later(4))
    #expect(after?.notices == [.counted(anonymous: 0)])
    #expect(after?.count == 2)
    _ = group.leave(name("e"), on: 0, at: later(4))
    #expect(group.announce(at: later(7))?.notices == [.left(name("e"))])
    #expect(group.list().users == ["f"])
  }

  @Test func `a group with many anonymous sessions is told once a second, and names too`() {
    var group = GroupPresence(isShared: false, mostNamed: 3)
    for _ in 0..<4 { _ = group.join(nil, on: 0) }
    #expect(group.announce(at: start)?.notices == [.counted(anonymous: 4)])
    _ = group.join(name("alice"), on: 0)
    #expect(group.announce(at: start + .milliseconds(900)) == nil)
    #expect(group.announce(at: later(1))?.notices == [.joined(name("alice"))])
  }

  @Test func `a list goes to those who wait for it`() {
    var group = GroupPresence(isShared: false)
    let first = group.join(name("alice"), on: 3)
    let news = group.announce(at: start)
    #expect(news?.wanting == [3])
    #expect(news?.pass == first)
    #expect(news?.list == PresenceList(users: ["alice"], anonymous: 0, count: 1))
    let second = group.want(on: 3)
    _ = group.join(nil, on: 1)
    let next = group.announce(at: start)
    #expect(next?.wanting == [1, 3])
    #expect(next?.pass == second)
    #expect(group.announce(at: start) == nil)
  }

  @Test func `nothing is told before it is known who is there elsewhere`() {
    var group = GroupPresence(isShared: true)
    _ = group.join(name("alice"), on: 0)
    #expect(group.announce(at: start) == nil)
    #expect(!group.isUnfinished)
    group.load([PeerState(process: "b", sequence: 4, users: [name("bob")], anonymous: 2)], at: start)
    let news = group.announce(at: start)
    #expect(news?.list == PresenceList(users: ["alice", "bob"], anonymous: 2, count: 4))
  }

  @Test func `a user in two processes leaves with the last of them`() {
    var group = GroupPresence(isShared: true)
    group.load([], at: start)
    _ = group.join(name("alice"), on: 0)
    _ = group.announce(at: start)
    let joined = PeerChange(.all, process: "b", sequence: 1, joined: [name("alice")])
    #expect(group.apply(joined, at: start) == .applied)
    #expect(group.announce(at: start) == nil)
    _ = group.leave(name("alice"), on: 0, at: start)
    _ = group.join(nil, on: 0)
    #expect(group.announce(at: later(3))?.notices == [.counted(anonymous: 1)])
    group.remove("b", at: later(3))
    #expect(group.announce(at: later(4)) == nil)
    #expect(group.announce(at: later(5))?.notices == [.left(name("alice"))])
  }

  @Test func `changes are applied in order, once, and without a gap`() {
    var group = GroupPresence(isShared: true)
    _ = group.join(nil, on: 0)
    group.load([PeerState(process: "b", sequence: 7, users: [name("bob")], anonymous: 0)], at: start)
    func change(_ sequence: Int, after previous: Int, _ user: String) -> PeerChange {
      PeerChange(process: "b", sequence: sequence, previous: previous, joined: [name(user)])
    }
    #expect(group.apply(change(7, after: 5, "bob"), at: start) == .stale)
    #expect(group.apply(change(9, after: 7, "carol"), at: start) == .applied)
    #expect(group.apply(change(9, after: 7, "carol"), at: start) == .stale)
    #expect(group.apply(change(12, after: 10, "dave"), at: start) == .gap)
    #expect(group.apply(PeerChange(process: "c", sequence: 3, previous: 2), at: start) == .gap)
    _ = group.announce(at: start)
    #expect(group.list().users == ["bob", "carol"])
    #expect(group.apply(PeerChange(.gone, process: "b", sequence: 8), at: start) == .stale)
    #expect(group.apply(PeerChange(.gone, process: "b", sequence: 13), at: start) == .applied)
    _ = group.announce(at: later(3))
    #expect(group.list().users == [])
  }

  @Test func `a process that Redis has lost is kept until it should be back`() {
    var group = GroupPresence(isShared: true)
    _ = group.join(nil, on: 0)
    let bob = PeerState(process: "b", sequence: 7, users: [name("bob")], anonymous: 1)
    group.load([bob], at: start)
    _ = group.announce(at: start)
    group.load([], at: later(1))
    group.removeMissing(since: later(0), at: later(1))
    #expect(group.announce(at: later(5)) == nil)
    let back = PeerChange(.all, process: "b", sequence: 9, joined: [name("bob")], anonymous: 1)
    #expect(group.apply(back, at: later(6)) == .applied)
    group.removeMissing(since: later(6), at: later(16))
    #expect(group.announce(at: later(20)) == nil)
    group.load([], at: later(21))
    group.removeMissing(since: later(21), at: later(31))
    #expect(group.announce(at: later(34))?.notices == [.left(name("bob")), .counted(anonymous: 1)])
  }

  @Test func `what is written for others is what changed, or all of it`() {
    var group = GroupPresence(isShared: true)
    _ = group.join(name("alice"), on: 0)
    _ = group.join(name("alice"), on: 1)
    _ = group.join(nil, on: 1)
    var changes = group.takeChanges(all: false)
    #expect(changes.joined == [name("alice")])
    #expect(changes.anonymous == 1)
    #expect(group.takeChanges(all: false).joined == [])
    _ = group.leave(name("alice"), on: 0, at: start)
    #expect(group.takeChanges(all: false).left == [])
    _ = group.leave(name("alice"), on: 1, at: start)
    #expect(group.takeChanges(all: false).left == [name("alice")])
    _ = group.join(name("alice"), on: 1)
    _ = group.takeChanges(all: false)
    changes = group.takeChanges(all: true)
    #expect(changes.joined == [name("alice")])
    #expect(changes.isUsed)
  }

  /// Sessions, processes and time at random; a simple model says who is there.
  @Test(arguments: [3, 1000]) func `whoever hears everything knows who is there`(mostNamed: Int) {
    var random = SplitMix(seed: 1)
    for _ in 0..<60 {
      var group = GroupPresence(isShared: true, mostNamed: mostNamed)
      var now = start
      var sessions: [(user: String?, reactor: Int)] = []
      var peers: [String: (sequence: Int, users: Set<String>, anonymous: Int)] = [:]
      var written: [ExactText: Bool] = [:]
      var writtenAnonymous = 0
      var lastSequence = 0
      group.load([], at: now)
      _ = group.join(nil, on: 0)
      sessions.append((nil, 0))
      var client = Client(group.announce(at: now)?.list ?? PresenceList(users: [], anonymous: 0, count: 0))
      for _ in 0..<200 {
        now += .milliseconds(Int.random(in: 0..<800, using: &random))
        let user = "u\(Int.random(in: 0..<6, using: &random))"
        switch Int.random(in: 0..<8, using: &random) {
        case 0, 1:
          let session = (Bool.random(using: &random) ? user : nil, Int.random(in: 0..<2, using: &random))
          sessions.append(session)
          _ = group.join(session.0.map { name($0) }, on: session.1)
        case 2, 3:
          guard sessions.count > 1 else { continue }
          let session = sessions.remove(at: Int.random(in: 1..<sessions.count, using: &random))
          _ = group.leave(session.user.map { name($0) }, on: session.reactor, at: now)
        case 4, 5:
          let process = "p\(Int.random(in: 0..<2, using: &random))"
          lastSequence += 1
          var peer = peers[process] ?? (0, [], 0)
          let joins = Bool.random(using: &random)
          if joins { peer.users.insert(user) } else { peer.users.remove(user) }
          peer.anonymous = Int.random(in: 0..<3, using: &random)
          let change = PeerChange(
            peers[process] == nil ? .all : .change, process: process, sequence: lastSequence,
            previous: peer.sequence,
            joined: peers[process] == nil ? peer.users.map { name($0) } : joins ? [name(user)] : [],
            left: joins || peers[process] == nil ? [] : [name(user)], anonymous: peer.anonymous)
          peer.sequence = lastSequence
          peers[process] = peer
          #expect(group.apply(change, at: now) == .applied)
        case 6:
          let process = "p\(Int.random(in: 0..<2, using: &random))"
          peers[process] = nil
          group.remove(process, at: now)
        default:
          let changes = group.takeChanges(all: false)
          for user in changes.joined { written[user] = true }
          for user in changes.left { written[user] = nil }
          writtenAnonymous = changes.anonymous
          let here = Set(sessions.compactMap(\.user))
          #expect(Set(written.keys.map(\.text)) == here)
          #expect(writtenAnonymous == sessions.count { $0.user == nil })
        }
        if Bool.random(using: &random), let news = group.announce(at: now) { client.hear(news) }
      }
      now += .seconds(10)
      if let news = group.announce(at: now) { client.hear(news) }
      let users = peers.values.reduce(Set(sessions.compactMap(\.user))) { $0.union($1.users) }
      let anonymous = peers.values.reduce(sessions.count { $0.user == nil }) { $0 + $1.anonymous }
      #expect(client.count == users.count + anonymous)
      let expected = PresenceList(
        users: Array(users.sorted().prefix(mostNamed)), anonymous: anonymous, count: users.count + anonymous)
      #expect(group.list() == expected)
      // A large group's members are told no names.
      guard mostNamed > 6 else { continue }
      #expect(client == Client(expected))
    }
  }
}

struct PresenceListTests {
  @Test func `it is written as JSON`() {
    var text: [UInt8] = []
    PresenceList(users: ["a\"b", "é"], anonymous: 2, count: 4).appendJSON(to: &text)
    #expect(
      String(decoding: text, as: UTF8.self) == #"{"users": ["a\"b", "é"], "anonymous": 2, "count": 4}"#)
  }

  @Test func `it has no more names than it may, and counts all of them`() {
    let states = [
      PeerState(process: "a", sequence: 1, users: (0..<900).map { name("\(10_000 + $0)") }, anonymous: 1),
      PeerState(process: "b", sequence: 1, users: (800..<1500).map { name("\(10_000 + $0)") }, anonymous: 2),
    ]
    let list = PresenceList(states)
    #expect(list.users == (0..<1000).map { "\(10_000 + $0)" })
    #expect(list.count == 1503)
    let long = (0..<100).map { name(String(repeating: "x", count: 1000) + "\($0)") }
    let bounded = PresenceList([PeerState(process: "a", sequence: 1, users: long, anonymous: 0)])
    #expect(bounded.users.count == 65)
    #expect(bounded.count == 100)
  }

  @Test func `notices are written as JSON`() {
    func text(_ notice: PresenceNotice) -> String { String(decoding: notice.text(count: 3), as: UTF8.self) }
    #expect(text(.joined(name("a\n"))) == #"{"joined": "a\n", "count": 3}"#)
    #expect(text(.left(name("b"))) == #"{"left": "b", "count": 3}"#)
    #expect(text(.counted(anonymous: 2)) == #"{"anonymous": 2, "count": 3}"#)
  }
}
