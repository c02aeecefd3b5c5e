import Bytes
import GatewayConfig
import JSON
import LayerTestSupport
import TestSupport
import Testing

@testable import Gateway
@testable import Transport

/// Answers what it was asked, and waits in a drain until it is let go.
private struct StandIn: AdminOperations {
  var drained = AsyncStream<Void>.makeStream()
  var began = AsyncStream<Void>.makeStream()

  func status() async -> JSON { ["what": "status"] }

  func signOfLife() -> JSON { ["what": "progress"] }

  func reload(_ order: ReloadOrder, for asker: Asker) async -> AdminAnswer {
    AdminAnswer([
      "what": "reload", "previous": .bool(order.isPrevious), "plan": order.plan.map { .string($0) } ?? .null,
      "asker": asker.json,
    ])
  }

  func config(_ order: ConfigOrder) async -> AdminAnswer {
    AdminAnswer(["what": "config", "defaults": .bool(order.defaults)])
  }

  func plan(_ order: PlanOrder, for asker: Asker) async -> AdminAnswer {
    AdminAnswer(["what": "plan", "file": order.file.map { .string($0) } ?? .null])
  }

  func upgrade(
    _ order: UpgradeRequest, for asker: Asker, tried: @escaping @Sendable (AdminAnswer) -> Void
  ) async -> AdminAnswer {
    if order.binary == "/good" { tried(AdminAnswer(["what": "upgrade"])) }
    for await _ in drained.stream { break }
    return .refused(409, "refused", "it was not executed")
  }

  func drain(_ order: DrainOrder, for asker: Asker) async -> AdminAnswer {
    began.continuation.yield()
    for await _ in drained.stream { break }
    return AdminAnswer(["what": "drain", "grace": order.grace.map { .string($0.written) } ?? .null])
  }
}

private let root = Asker.process(PeerCredentials(process: 7, user: 0))

private func post(_ path: String, _ body: String = "") -> AdminRequest {
  AdminRequest(method: "POST", path: path, body: Array(body.utf8))
}

struct AdminDeskTests {
  private let operations = StandIn()
  private let desk: AdminDesk

  init() {
    desk = AdminDesk(operations, gate: OperationGate())
  }

  @Test(
    arguments: [
      (AdminRequest(method: "GET", path: "/status"), #"{"what":"status"}"#),
      (AdminRequest(method: "GET", path: "/progress"), #"{"what":"progress"}"#),
      (post("/reload"), #"{"what":"reload","previous":false,"plan":null,"asker":{"uid":0,"pid":7}}"#),
      (
        post("/reload", #"{"previous": true, "plan": null}"#),
        #"{"what":"reload","previous":true,"plan":null,"asker":{"uid":0,"pid":7}}"#
      ),
      (
        post("/reload", #"{"plan": "ab12ab12ab12"}"#),
        #"{"what":"reload","previous":false,"plan":"ab12ab12ab12","asker":{"uid":0,"pid":7}}"#
      ),
      (post("/plan", #"{"file": "/etc/b.yaml"}"#), #"{"what":"plan","file":"/etc/b.yaml"}"#),
      (post("/config"), #"{"what":"config","defaults":false}"#),
      (post("/config", #"{"defaults": true}"#), #"{"what":"config","defaults":true}"#),
      (post("/plan"), #"{"what":"plan","file":null}"#),
    ])
  func `what is asked is done`(_ request: AdminRequest, _ body: String) async {
    let answer = await desk.answer(request, from: root)
    #expect(answer.status == 200)
    #expect(answer.body.text == body)
  }

  @Test(
    arguments: [
      (
        post("/nothing"), 404,
        "there is nothing at this path; known here: GET /status, GET /progress, POST /config, POST /reload, POST /plan, POST /drain, POST /upgrade"
      ),
      (post("/status"), 405, "/status takes GET"),
      (AdminRequest(method: "GET", path: "/reload"), 405, "/reload takes POST"),
      (post("/reload", "{"), 400, "the body is not JSON: a member's name in quotes is missing at byte 1"),
      (post("/reload", "[]"), 400, "the body is a JSON object"),
      (post("/reload", #"{"prev": true}"#), 400, "unknown key \"prev\"; known here: previous, plan"),
      (post("/reload", #"{"previous": 1}"#), 400, "\"previous\" is true or false"),
      (
        post("/reload", #"{"previous": true, "plan": "a"}"#), 400,
        "\"previous\" and \"plan\" cannot be used together"
      ),
      (
        post("/reload", #"{"plan": ""}"#), 400,
        "\"\" is no ID of a plan: \"sluice plan\" prints it behind the names of the files, 12 digits such as 5f0c1a9e77b2"
      ),
      (post("/reload", #"{"plan": 5}"#), 400, "\"plan\" is a text"),
      (post("/plan", #"{"file": ""}"#), 400, "\"file\" is an absolute path"),
      (post("/plan", #"{"file": "b.yaml"}"#), 400, "\"file\" is an absolute path"),
      (post("/drain", #"{"grace": "2 days"}"#), 400, "\"grace\" is a time from 0s to 1h, such as \"30s\""),
      (post("/upgrade", #"{"binary": "sluice"}"#), 400, "\"binary\" is an absolute path"),
      (
        post("/upgrade", #"{"binary": "/bin/sluice\u0000x"}"#), 400,
        #""binary" has a control character: /bin/sluice\u{0}x"#
      ),
      (
        post("/plan", #"{"file": "/a\u001b.yaml"}"#), 400, #""file" has a control character: /a\u{1b}.yaml"#
      ),
      (post("/drain", #"{"grace": 30}"#), 400, "\"grace\" is a text"),
    ])
  func `what is not understood is said in a sentence`(
    _ request: AdminRequest, _ status: Int, _ error: String
  ) async {
    let answer = await desk.answer(request, from: root)
    #expect(answer.status == status)
    #expect(answer.body["error"]?.string == error)
  }

  @Test func `an upgrade answers when it was tried, and is under way until it is refused`() async {
    let answer = await desk.answer(post("/upgrade", #"{"binary": "/good"}"#), from: root)
    #expect(answer == AdminAnswer(["what": "upgrade"]))
    let busy = await desk.answer(post("/reload"), from: root)
    #expect(busy.status == 409)
    operations.drained.continuation.yield()
    operations.drained.continuation.yield()
    // One that is not tried with success answers why.
    var last = await desk.answer(post("/upgrade", #"{"binary": "/bad"}"#), from: root)
    while last.body["code"]?.string == "busy" {
      last = await desk.answer(post("/upgrade", #"{"binary": "/bad"}"#), from: root)
    }
    #expect(last.body["error"]?.string == "it was not executed")
  }

  @Test func `one thing is done at a time, and the status is told all the same`() async {
    async let drain = desk.answer(post("/drain", #"{"grace": "30s"}"#), from: .signal("SIGHUP"))
    for await _ in operations.began.stream { break }
    for request in [post("/reload"), post("/drain")] {
      let refused = await desk.answer(request, from: root)
      #expect(refused.status == 409)
      let sentence = refused.body["error"]?.string ?? ""
      #expect(sentence.contains(#/^a drain has been under way for [0-9]+s, since 20/#))
      #expect(sentence.hasSuffix("; signal SIGHUP asked for it"))
      #expect(refused.body["under_way"]?["asked_by"]?.text == #"{"signal":"SIGHUP"}"#)
    }
    let status = await desk.answer(AdminRequest(method: "GET", path: "/status"), from: root)
    #expect(status.status == 200)
    operations.drained.continuation.yield()
    let drained = await drain
    #expect(drained.body.text == #"{"what":"drain","grace":"30s"}"#)
    let reload = await desk.answer(post("/reload"), from: root)
    #expect(reload.status == 200)
  }
}

struct AdminAccessTests {
  private static let loopback = AdminAddress.loopback(
    host: "127.0.0.1", port: 1, token: Secret("0123456789abcdef"))

  private static func process(of user: UInt32) -> Asker {
    .process(PeerCredentials(process: 1, user: user))
  }

  @Test(
    arguments: [
      (AdminAddress.standard, process(of: 1000), nil, nil), (.standard, process(of: 0), nil, nil),
      (.standard, process(of: 1001), nil, 403), (.standard, process(of: 65534), nil, 403),
      (.unix(path: "a"), process(of: 1000), nil, nil), (.unix(path: "a"), process(of: 1001), nil, 403),
      // The system does not say who it is.
      (.standard, .token, nil, 401), (.standard, .token, "", 401),
      (loopback, .token, "0123456789abcdef", nil), (loopback, .token, nil, 401), (loopback, .token, "", 401),
      (loopback, .token, "0123456789abcdeg", 401), (loopback, .token, "0123456789abcde", 401),
      (loopback, .token, "0123456789abcdef0123456789abcdef", 401),
    ] as [(AdminAddress, Asker, String?, Int?)])
  func `only those who may give orders can`(
    _ address: AdminAddress, _ asker: Asker, _ token: String?, _ status: Int?
  ) {
    let request = AdminRequest(method: "GET", path: "/status", token: token)
    #expect(AdminAccess(address, user: 1000).refusal(of: request, from: asker)?.status == status)
  }
}
