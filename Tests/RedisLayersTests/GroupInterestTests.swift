import ChannelLayers
import Testing

@testable import RedisLayers

struct GroupInterestTests {
  private var interest = GroupInterest()
  private let start = ContinuousClock.now

  @Test mutating func `a group is joined for its first member, and not again for the next`() {
    #expect(interest.want("a", on: 0, shard: 0) == false)
    #expect(interest.want("a", on: 1, shard: 0) == false)
    #expect(interest.settle("a", isJoined: true) == [0, 1])
    #expect(interest.want("a", on: 2, shard: 0) == true)
    #expect(interest["a"]?.reactors == [0, 1, 2])
    #expect(interest.settle("a", isJoined: true) == [])
  }

  @Test
  mutating func
    `a group of another process is for those of its reactors who come, once they have had the time`()
  {
    interest.resume(LayerState.Member(of: "a", named: "g7", reactors: [0, 3]), shard: 0)
    // There were four.
    interest.fold(onto: 2)
    #expect(interest["a"]?.handed == [0, 1])
    #expect(interest.wanted(0).map(\.name) == ["a"])
    #expect(interest.members.map { Set($0.reactors) } == [[0, 1]])
    _ = interest.want("a", on: 0, shard: 0)
    _ = interest.settle("a", isJoined: true)
    #expect(interest.takeLeaving(0, at: start + .seconds(60)) == [])
    #expect(interest["a"]?.handed == [] && interest["a"]?.reactors == [0])
    interest.unwant("a", on: 0, at: start)
    #expect(interest.takeLeaving(0, at: start + .seconds(6)).map(\.member) == ["g7"])
  }

  @Test mutating func `one that is refused is joined again for whoever wants it next`() {
    _ = interest.want("a", on: 0, shard: 0)
    #expect(interest.settle("a", isJoined: false) == [0])
    #expect(interest.want("a", on: 1, shard: 0) == false)
    #expect(interest.settle("unknown", isJoined: false) == [])
  }

  @Test mutating func `a group lingers without members, and is left after a while`() {
    _ = interest.want("a", on: 0, shard: 0)
    _ = interest.settle("a", isJoined: true)
    interest.unwant("a", on: 0, at: start)
    #expect(interest.takeLeaving(0, at: start + .seconds(5)) == [])
    #expect(interest.want("a", on: 0, shard: 0) == true)
    #expect(interest.takeLeaving(0, at: start + .seconds(60)) == [])
    interest.unwant("a", on: 0, at: start)
    #expect(interest.takeLeaving(1, at: start + .seconds(6)) == [])
    #expect(interest.takeLeaving(0, at: start + .seconds(6)).map(\.name) == ["a"])
    #expect(interest["a"] == nil)
  }

  @Test mutating func `a group that lingers while its shard is lost is joined again for its next member`() {
    _ = interest.want("a", on: 0, shard: 0)
    _ = interest.want("b", on: 0, shard: 1)
    _ = (interest.settle("a", isJoined: true), interest.settle("b", isJoined: true))
    interest.unwant("a", on: 0, at: start)
    interest.lost(0)
    #expect(interest.wanted(0) == [])
    #expect(interest.want("a", on: 0, shard: 0) == false)
    #expect(interest.wanted(0).map(\.name) == ["a"])
    #expect(interest.want("b", on: 1, shard: 1) == true)
  }

  @Test mutating func `a group that could not be left is left later, however often it is tried`() {
    _ = interest.want("a", on: 0, shard: 0)
    _ = interest.settle("a", isJoined: true)
    let member = interest["a"]?.member
    interest.unwant("a", on: 0, at: start)
    for _ in 0..<3 {
      #expect(interest.takeLeaving(0, at: start + .seconds(6)).map(\.member) == [member])
    }
    let leaving = interest.takeLeaving(0, at: start + .seconds(6))
    interest.left(leaving)
    #expect(interest.takeLeaving(0, at: start + .seconds(7)) == [])
    #expect(interest.all(0) == [])
  }

  @Test mutating func `a group that is wanted while it is being left is another member`() {
    _ = interest.want("a", on: 0, shard: 0)
    _ = interest.settle("a", isJoined: true)
    interest.unwant("a", on: 0, at: start)
    let old = interest.takeLeaving(0, at: start + .seconds(6))
    #expect(interest.want("a", on: 0, shard: 0) == false)
    #expect(interest["a"]?.member != old.first?.member)
    #expect(old.first.flatMap { interest.group(ofMember: $0.member) } == nil)
    #expect(interest["a"].flatMap { interest.group(ofMember: $0.member)?.name } == "a")
    interest.left(old)
    #expect(interest.all(0).map(\.name) == ["a"])
  }

  @Test mutating func `known are those that are wanted, and those that may be at any moment`() {
    for name in ["joined", "waiting", "lingering", "given up"] { _ = interest.want(name, on: 0, shard: 0) }
    _ = (interest.settle("joined", isJoined: true), interest.settle("lingering", isJoined: true))
    interest.unwant("lingering", on: 0, at: start)
    interest.unwant("given up", on: 0, at: start)
    #expect(Set(interest.known(0).map(\.name)) == ["joined", "waiting", "lingering"])
    #expect(interest.known(1) == [])
  }
}
