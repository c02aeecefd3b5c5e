import Testing

@testable import RedisClient

struct RedisRefusalTests {
  @Test(arguments: [
    ("WRONGTYPE Operation against a key holding the wrong kind of value", false),
    ("ERR no such thing", false),
    ("OOM command not allowed when used memory > 'maxmemory'.", false),
    ("NOPERM this user has no permissions", false),
    ("READONLY You can't write against a read only replica.", true), ("LOADING Redis is loading", true),
    ("NOAUTH Authentication required.", true), ("MOVED 3999 127.0.0.1:6381", true), ("", false),
  ]) func `what is wrong with one key ends no connection, what is wrong with the server does`(
    _ message: String, _ ends: Bool
  ) {
    #expect(RedisRefusal(message).endsConnection == ends)
  }

  @Test(arguments: [
    "MOVED 3999 127.0.0.1:6381", "CROSSSLOT Keys in request don't hash to the same slot", "ASK 1 h:1",
  ])
  func `what only a cluster answers is said to be of one`(_ message: String) {
    var refusal = RedisRefusal(message)
    #expect(
      refusal.description.hasPrefix(message) && refusal.description.contains("this server is a Redis Cluster")
    )
    #expect(refusal.code == message.prefix { $0 != " " })
    refusal.add("the master at h:1")
    #expect(refusal.description.hasSuffix("(the master at h:1)"))
    #expect(!RedisRefusal("ERR no such thing").description.contains("Cluster"))
  }

  @Test func `what was refused did not happen; what was not answered may have`() {
    #expect(
      !RedisFailure.refused(RedisRefusal("ERR x")).isUncertain && !RedisFailure.notConnected.isUncertain)
    #expect(RedisFailure.timeout.isUncertain && RedisFailure.disconnected.isUncertain)
  }
}
