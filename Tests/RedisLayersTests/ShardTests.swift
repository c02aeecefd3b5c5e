import Testing

@testable import RedisLayers

struct ShardTests {
  /// What `_consistent_hash` of channels_redis gives for 2, 3, 4, 5, 7 and 10 hosts.
  @Test(arguments: [
    ("chat_lobby", [1, 1, 2, 2, 3, 5]),
    ("test", [1, 2, 3, 4, 6, 8]),
    ("asgi__group__chat_lobby", [0, 0, 0, 0, 0, 0]),
    ("specific.5f8790c92e16461386784c278e156fd4!", [1, 2, 3, 4, 5, 8]),
    ("specific.5f8790c92e16461386784c278e156fd4!580c4d25936548d7bba2b9811c7e9839", [1, 1, 2, 2, 4, 5]),
    ("", [0, 0, 0, 0, 0, 0]),
  ]) func `a name is on the host where Django looks for it`(_ name: String, _ expected: [Int]) {
    #expect([2, 3, 4, 5, 7, 10].map { Shard.index(of: name, count: $0) } == expected)
    #expect(Shard.index(of: name, count: 1) == 0)
  }
}
