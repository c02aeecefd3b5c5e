import ChannelLayers
import LayerTestSupport
import Testing
import WebSocketCore

@testable import Gateway
@testable import Sessions
@testable import Transport

struct PublishEndpointTests {
  private static let event = #"{"group": "room", "text": "hi"}"#
  private static let published = "200 {\"published\":[{\"group\":\"room\",\"sessions\":0,\"id\":null}]}\n"

  @Test func `a request is answered where it was read, in the same turn`() async throws {
    try await PublishScene.serving { scene in
      let request = scene.ask("POST", "publish/", Self.event)
      #expect(request.answer == Self.published)
      #expect(
        request.answers[0].fields.map { "\($0.name): \($0.value)" } == [
          "Content-Type: application/json", "Cache-Control: no-store",
        ])
      #expect(!scene.turn(0) && !scene.turn(1))
    }
  }

  @Test func `sessions on both reactors are counted, and what is said of each event is in its order`()
    async throws
  {
    try await PublishScene.serving { scene in
      let members = [0, 1].map { scene.join("room", on: $0) }
      let kept = scene.join("kept", on: 1)
      scene.settle()
      let request = scene.ask(
        "POST", "publish/",
        #"{"batch": [{"group": "room", "event": {"type": "broadcast.mesage"}}, {"groups": ["kept", "g\u006f"], "text": "x"}]}"#
      )
      #expect(request.answer == nil)
      scene.settle()
      let id = try #require(request.answer?.split(separator: "\"id\":\"").last?.split(separator: "\"").first)
      #expect(id.hasSuffix(".1"))
      #expect(
        request.answer == "200 {\"published\":["
          + #"{"group":"room","sessions":2,"id":null,"unknown_type":"broadcast.mesage","nearest_type":"broadcast.message"},"#
          + #"{"group":"kept","sessions":1,"id":"\#(id)"},{"group":"go","sessions":0,"id":null}]}"# + "\n")
      #expect(members.map(\.text) == ["broadcast.mesage ", "broadcast.mesage "])
      #expect(kept.text == "broadcast.message ")
    }
  }

  /// What is asked, and the answer.
  static let refusals:
    [(method: String, path: String, body: String?, fields: [String: String], answer: String)] = [
      ("GET", "publish/", nil, [:], "405 use POST"), ("POST", "publish/groups", "{}", [:], "405 use GET"),
      ("POST", "publish/x", "{}", [:], "404 there is nothing at this path"),
      (
        "GET", "publish/presence?group=room", nil, [:],
        "403 this route does not allow \"presence\": it is not in its \"allow\""
      ), ("POST", "publish/", nil, [:], "400 the request has no body"),
      ("POST", "publish/", "{", ["content-type": "text/plain"], "415 send Content-Type: application/json"),
      (
        "POST", "publish/", "{", ["content-encoding": "gzip"],
        "415 Content-Encoding \"gzip\" is not supported: send the body as it is"
      ),
      (
        "POST", "publish/", "{", [:],
        "400 the request is not JSON: a member's name in quotes is missing at byte 1"
      ),
      (
        "POST", "publish/", #"{"group": "other", "text": ""}"#, [:],
        "403 this route may not publish to the group \"other\""
      ),
      (
        "POST", "publish/", #"{"group": "room", "text": "", "idempotency_key": "a"}"#,
        ["idempotency-key": "b"],
        "400 \"idempotency_key\" and the header Idempotency-Key differ"
      ), ("POST", "publish/", event, ["authorization": "Bearer x"], "401 "),
      ("POST", "publish/", event, ["authorization": "Basic x"], "401 "),
      (
        "POST", "open/", #"{"group": "a", "text": "\#(String(repeating: "x", count: 1024))"}"#, [:],
        "413 the body is larger than 1KiB"
      ), ("GET", "publish/history?group=room", nil, [:], "404 the group \"room\" keeps no history"),
      (
        "GET", "publish/history?group=other", nil, [:], "403 this route may not ask about the group \"other\""
      ),
      ("GET", "publish/groups?limit=0", nil, [:], "400 \"limit\" must be a number from 1 to 1000"),
    ]

  @Test(arguments: refusals)
  func `what is wrong is answered once, and logged`(
    _ row: (method: String, path: String, body: String?, fields: [String: String], answer: String)
  ) async throws {
    try await PublishScene.serving { scene in
      let request = scene.ask(row.method, row.path, row.body, fields: row.fields)
      scene.settle()
      let (status, words) = (row.answer.prefix(3), row.answer.dropFirst(4))
      #expect(request.answers.count == 1)
      #expect(request.answer?.hasPrefix(status) == true, "\(request.answer ?? "")")
      let escaped = words.replacing("\"", with: "\\\"")
      #expect(request.answer?.contains("{\"error\":\"\(escaped)") == true, "\(request.answer ?? "")")
      #expect(scene.lines("refused ").count == 1)
    }
  }

  @Test func `who may not use the route is refused before the body is read`() async throws {
    try await PublishScene.serving { scene in
      let request = scene.ask("POST", "publish/", Self.event, token: nil)
      #expect(request.answers.map(\.status) == [401])
      #expect(request.field("WWW-Authenticate") != nil)
      #expect(!request.hasReadBody)
      #expect(scene.ask("POST", "open/", Self.event, token: nil).answer == Self.published)
    }
  }

  @Test func `a body that does not come in time is said, and one of a client that has gone is not`()
    async throws
  {
    try await PublishScene.serving { scene in
      let late = scene.ask("POST", "publish/", Self.event, isSlow: true)
      late.fail(.late)
      #expect(late.answers.map(\.status) == [408])
      let full = scene.ask("POST", "publish/", Self.event, isSlow: true)
      full.fail(.noMemory)
      #expect(full.answers.map(\.status) == [503])
      let gone = scene.ask("POST", "publish/", Self.event, isSlow: true)
      gone.hangUp()
      #expect(gone.answers.isEmpty)
      #expect(gone.exchange == nil)
    }
  }

  @Test func `a large body is read by another thread`() async throws {
    try await PublishScene.serving { scene in
      let text = String(repeating: "x", count: 100_000)
      let request = scene.ask("POST", "publish/", #"{"group": "room", "text": "\#(text)"}"#)
      #expect(request.answer == nil)
      try await scene.until { request.answer != nil }
      #expect(request.answer == Self.published)
      let faulty = scene.ask("POST", "publish/", #"{"group": "room", "text": "\#(text)""#)
      try await scene.until { faulty.answer != nil }
      #expect(faulty.answers.map(\.status) == [400])
      let order = scene.ask(
        "POST", "publish/disconnect", #"{"user": "5" \#(String(repeating: " ", count: 100_000))}"#)
      #expect(order.answer == nil)
      try await scene.until { order.answer != nil }
      #expect(order.answer?.hasSuffix(#"{"user":"5","sessions":0}"# + "\n") == true)
      // No token and no callback names such a user.
      let nobody = scene.ask("POST", "publish/disconnect", #"{"user": "\#(text)"}"#)
      try await scene.until { nobody.answer != nil }
      #expect(nobody.answers.map(\.status) == [400])
      let gone = scene.ask("POST", "publish/", #"{"group": "kept", "text": "\#(text)"}"#)
      gone.hangUp()
      #expect(gone.answers.isEmpty)
    }
  }

  // MARK: - Idempotency

  private static let keyed = #"{"group": "room", "text": "hi", "idempotency_key": "k"}"#

  @Test func `a repeated request gets the answer again, and does nothing`() async throws {
    try await PublishScene.serving { scene in
      let member = scene.join("room", on: 0)
      let first = scene.ask("POST", "publish/", Self.keyed)
      let again = scene.ask("POST", "publish/", Self.keyed, on: 1)
      let other = scene.ask("POST", "publish/", Self.event, fields: ["idempotency-key": "\"k\""])
      scene.settle()
      #expect(first.answer?.hasPrefix("200 ") == true && first.field("Idempotent-Replayed") == nil)
      #expect(again.answer == first.answer && again.field("Idempotent-Replayed") == "true")
      #expect(other.answers.map(\.status) == [422])
      #expect(member.text == "broadcast.message ")
    }
  }

  @Test func `the first request is carried out if its client goes, and a repeated one waits for its answer`()
    async throws
  {
    try await PublishScene.serving { scene in
      let member = scene.join("room", on: 1)
      scene.settle()
      let first = scene.ask("POST", "publish/", Self.keyed)
      let second = scene.ask("POST", "publish/", Self.keyed, on: 1)
      let third = scene.ask("POST", "publish/", Self.keyed, on: 1)
      first.hangUp()
      third.hangUp()
      #expect(second.answer == nil)
      scene.settle()
      #expect(first.answers.isEmpty && third.answers.isEmpty)
      #expect(second.answer?.contains("\"sessions\":1") == true)
      #expect(second.field("Idempotent-Replayed") == "true")
      #expect(member.text == "broadcast.message ")
    }
  }

  @Test func `a request keeps its place until it is carried out, whether its client is there or not`()
    async throws
  {
    try await PublishScene.serving { scene in
      _ = scene.join("room", on: 1)
      scene.settle()
      let requests = (0..<256).map { _ in scene.ask("POST", "publish/", Self.event) }
      for request in requests { request.hangUp() }
      let beyond = scene.ask("POST", "publish/", Self.event)
      #expect(beyond.answers.map(\.status) == [503])
      #expect(beyond.answer?.contains("too many requests are under way") == true)
      scene.settle()
      let next = scene.ask("POST", "publish/", Self.event)
      scene.settle()
      #expect(next.answers.map(\.status) == [200])
    }
  }

  @Test func `a request that nothing of was sent is asked to come again, and may`() async throws {
    try await PublishScene.serving(mail: 1000) { scene in
      for _ in 0..<2 { scene.mailboxes[1].post(.abandon, weight: 1000) }
      let refused = scene.ask("POST", "publish/", Self.keyed)
      scene.pass(.seconds(2), only: 0)
      #expect(refused.answers.map(\.status) == [503])
      #expect(refused.field("Retry-After") == "1")
      #expect(refused.answer?.contains(Undelivered.backlog.rawValue) == true)
      scene.settle()
      #expect(scene.ask("POST", "publish/", Self.keyed).answer == Self.published)
    }
  }

  // MARK: - Queries and users

  @Test func `groups are listed over all reactors, a page at a time`() async throws {
    try await PublishScene.serving { scene in
      for (number, group) in ["ga", "gb", "gb", "gc", "other"].enumerated() {
        _ = scene.join(group, on: number % 2)
      }
      let page = scene.ask("GET", "publish/groups?prefix=g&limit=2")
      scene.settle()
      #expect(
        page.answer
          == "200 {\"groups\":[{\"group\":\"ga\",\"sessions\":1},{\"group\":\"gb\",\"sessions\":2}],\"next\":\"gb\"}\n"
      )
      let rest = scene.ask("GET", "publish/groups?prefix=g&limit=2&after=gb")
      scene.settle()
      #expect(rest.answer == "200 {\"groups\":[{\"group\":\"gc\",\"sessions\":1}],\"next\":null}\n")
    }
  }

  @Test(arguments: [0, 1])
  func `a history is read from every reactor`(_ worker: Int) async throws {
    try await PublishScene.serving { scene in
      scene.publish(["a", "b"], to: "kept", from: 1 - worker)
      scene.settle()
      let request = scene.ask("GET", "publish/history?group=kept&limit=1", on: worker)
      try await scene.until { request.answer != nil }
      #expect(request.answer?.contains(#""gap":false,"events":[{"id":"#) == true)
      #expect(request.answer?.hasSuffix(#""more":true}"# + "\n") == true)
      #expect(request.answers[0].share != nil)
    }
  }

  @Test
  func `a history shows what a route delivers to one user to programs with a token, and to nobody else`()
    async throws
  {
    try await PublishScene.serving { scene in
      scene.ask(
        "POST", "publish/",
        #"{"batch": [{"group": "kept", "event": {"type": "mine", "owner": 5}}, {"group": "kept", "text": "all"}]}"#
      )
      scene.settle()
      func read(_ path: String, token: String?) async throws -> String {
        let request = scene.ask("GET", "\(path)history?group=kept", token: token)
        try await scene.until { request.answer != nil }
        return try #require(request.answer)
      }
      let all = try await read("publish/", token: PublishScene.token)
      #expect(all.contains(#""type":"mine""#) && all.contains(#""text":"all""#))
      let anonymous = try await read("open/", token: nil)
      #expect(!anonymous.contains(#""type":"mine""#) && anonymous.contains(#""text":"all""#))
    }
  }

  @Test func `a user's sessions are ended on all reactors`() async throws {
    try await PublishScene.serving { scene in
      let request = scene.ask("POST", "publish/disconnect", #"{"user": 5}"#)
      #expect(request.answer == nil)
      scene.settle()
      #expect(request.answer == "200 {\"user\":\"5\",\"sessions\":0}\n")
    }
  }

  // MARK: - Pages of other origins

  @Test func `a page of another origin is told that it may not`() async throws {
    try await PublishScene.serving { scene in
      let same = scene.ask("OPTIONS", "publish/groups", fields: ["origin": "http://a"], token: nil)
      #expect(same.answers.map(\.status) == [204])
      #expect(same.field("Allow") == "GET, HEAD, OPTIONS")
      #expect(same.field("Access-Control-Allow-Origin") == "http://a")
      let other = scene.ask("OPTIONS", "publish/", fields: ["origin": "http://b"], token: nil)
      #expect(other.answers.map(\.status) == [403])
      #expect(other.field("Access-Control-Allow-Origin") == nil)
      #expect(scene.lines("origin=http://b").count == 1)
      let request = scene.ask("POST", "publish/", Self.event, fields: ["origin": "http://a"])
      #expect(request.field("Access-Control-Expose-Headers") == "Retry-After, Idempotent-Replayed")
    }
  }
}
