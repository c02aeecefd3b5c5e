import GatewayConfig
import Glibc
import LayerTestSupport
import Testing

@testable import Sessions
@testable import Transport

struct RouteAskerTests {
  private func terms(
    _ repeating: ViewTerms.Repeating = .always, patience: Duration = .zero, asker: String = "a"
  ) -> ViewTerms {
    var terms = ViewTerms(asker: asker)
    (terms.repeating, terms.patience) = (repeating, patience)
    return terms
  }

  @Test func `a question is a signed POST, and its answer comes back`() async throws {
    try await ViewScene.run { scene in
      scene.ask("one")
      let (_, request) = try scene.serve(.answer(200, body: #"{"do": [{"join": "g"}]}"#))
      #expect(request.hasPrefix("POST /ws/chat/7/?a=1 HTTP/1.1\r\nHost: site.example\r\n"))
      #expect(request.contains("\r\nX-Sluice-Id: f00d-1\r\n"))
      #expect(request.contains("\r\nX-Sluice-Signature: v1="))
      #expect(request.hasSuffix(#""messages":[{"n":1,"text":"one"},{"n":2,"bytes":"AP8="}]}"#))
      #expect(try scene.outcome() == ["one: answered 1"])
    }
  }

  @Test(arguments: [false, true])
  func `a connection is used again`(_ isUnix: Bool) async throws {
    try await ViewScene.run(isUnix: isUnix) { scene in
      scene.ask("one")
      let (socket, _) = try scene.serve()
      _ = try scene.outcome()
      scene.ask("two")
      _ = try scene.request(on: socket)
      scene.send(.empty, on: socket)
      #expect(try scene.outcome(2) == ["one: answered 0", "two: answered 0"])
      #expect(scene.acceptNow() == nil)
      // Until its time is over.
      scene.pass(.milliseconds(1100))
      let isClosed = try scene.isClosed(socket)
      #expect(isClosed)
      #expect(scene.view.links.open.count == 0)
    }
  }

  @Test func `one that the server has ended is not used`() async throws {
    try await ViewScene.run { scene in
      scene.ask("one")
      let (socket, _) = try scene.serve()
      _ = try scene.outcome()
      scene.close(socket)
      scene.ask("two", .receive, terms(.unsent))
      try scene.serve()
      #expect(try scene.outcome(2) == ["one: answered 0", "two: answered 0"])
    }
  }

  /// The server ends a kept connection while the next question is on its way.
  private func lose(_ question: ViewQuestion, _ terms: ViewTerms, in scene: ViewScene) throws {
    scene.ask("one")
    let (socket, _) = try scene.serve()
    _ = try scene.outcome()
    scene.ask("two", question, terms)
    _ = try scene.request(on: socket)
    scene.close(socket)
  }

  @Test func `lost on a kept connection, a connect is asked again at once on a new one`() async throws {
    try await ViewScene.run { scene in
      try lose(.connect, terms(.always), in: scene)
      let (_, request) = try scene.serve()
      #expect(request.contains("\"attempt\":2,"))
      #expect(try scene.outcome(2).last == "two: answered 0")
    }
  }

  @Test func `lost on a kept connection, messages are not asked about again`() async throws {
    try await ViewScene.run { scene in
      try lose(.receive, terms(.unsent, patience: .seconds(30)), in: scene)
      #expect(
        try scene.outcome(2).last
          == "two: failed, may have run: the server closed the connection before it answered")
    }
  }

  @Test(
    arguments: [
      ("HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n", "unusable, may have run: the server answered 503"),
      (.answer(403, body: "{}"), "refused 403, may have run"),
      (.answer(401, body: "{}"), "refused 401, may have run"),
      (
        "HTTP/1.1 401 X\r\nWWW-Authenticate: Sluice\r\nContent-Length: 0\r\n\r\n",
        "unusable, may have run: the view did not accept the signature"
      ),
    ] as [(String, String)], [false, true])
  func `an attempt whose answer was lost counts for what came of a connect`(
    _ second: (answer: String, words: String), _ isKept: Bool
  ) async throws {
    try await ViewScene.run { scene in
      if isKept {
        try lose(.connect, terms(.always, patience: .seconds(10)), in: scene)
      } else {
        scene.ask("two", .connect, terms(.always, patience: .seconds(10)))
        let socket = try scene.accept()
        _ = try scene.request(on: socket)
        scene.close(socket)
        scene.pass(.milliseconds(300))
      }
      try scene.serve(second.answer)
      #expect(try scene.outcome(isKept ? 2 : 1).last == "two: \(second.words)")
    }
  }

  @Test(
    arguments: [
      (.answer(401, body: "{}"), "failed, not run"),
      ("HTTP/1.1 401 X\r\nWWW-Authenticate: Sluice\r\nContent-Length: 0\r\n\r\n", "failed, not run"),
      (.answer(403, "text/html", "CSRF verification failed"), "failed, not run"),
      (.answer(403, body: #"{"detail": "CSRF Failed: x"}"#), "failed, not run"),
      (.answer(400, "text/html", "<h1>Bad Request (400)</h1>"), "failed, not run"),
      (.answer(405, body: ""), "failed, not run"), (.answer(415, body: ""), "failed, not run"),
      (
        "HTTP/1.1 301 X\r\nLocation: https://site.example/ws/chat/7/?a=1\r\nContent-Length: 0\r\n\r\n",
        "failed, not run"
      ),
      (.answer(200, "text/html", "<html>"), "failed, may have run"),
      // The view's own: it would say the same again.
      (.answer(403, body: "{}"), "unusable, may have run"),
      (.answer(404, body: "{}"), "unusable, may have run"),
      (.answer(400, body: "{}"), "unusable, may have run"),
      (.answer(200, body: "[]"), "unusable, may have run"),
    ] as [(String, String)])
  func `a report is settled by the view alone`(_ answer: String, _ words: String) async throws {
    try await ViewScene.run { scene in
      var terms = terms()
      terms.lane = .reports
      scene.ask("one", .disconnect, terms)
      try scene.serve(answer)
      #expect(try scene.outcome()[0].hasPrefix("one: \(words): "))
    }
  }

  @Test func `a first 401 that does not say why is told with what it may mean, once`() async throws {
    try await ViewScene.run { scene in
      for number in 1...2 {
        scene.ask("\(number)", .connect)
        let (socket, _) = try scene.serve(.answer(401, body: "{}"))
        _ = try scene.outcome(number)
        scene.close(socket)
      }
      #expect(scene.lines.all.count == 1)
      #expect(scene.lines.all[0].contains("or because of the signature"))
    }
    try await ViewScene.run { scene in
      scene.ask("1", .connect)
      let (socket, _) = try scene.serve()
      _ = try scene.outcome()
      scene.ask("2", .connect)
      _ = try scene.request(on: socket)
      scene.send(.answer(401, body: "{}"), on: socket)
      #expect(try scene.outcome(2).last == "2: refused 401")
      #expect(scene.lines.all == [])
    }
  }

  @Test func `what was waited in one outage does not count in the next one`() async throws {
    try await ViewScene.run(inFlight: 1) { scene in
      func lose() throws {
        let socket = try scene.accept()
        _ = try scene.request(on: socket)
        scene.close(socket)
      }
      for number in 1...5 {
        scene.ask("\(number)", .receive, terms(.unsent))
        try lose()
        _ = try scene.outcome(number)
      }
      for name in ["p", "s1", "s2", "s3", "s4", "s5", "s6"] {
        scene.ask(name, .receive, terms(.unsent, patience: .seconds(60), asker: name))
      }
      scene.ask("waits", .receive, terms(.unsent, patience: .seconds(3), asker: "waits"))
      scene.pass(.milliseconds(1100))
      let (first, _) = try scene.serve("HTTP/1.1 204 X\r\nConnection: close\r\n\r\n")
      scene.close(first)
      // The view answers again, and is slow.
      let slow = try scene.accept()
      _ = try scene.request(on: slow)
      for _ in 0..<4 { scene.pass(.seconds(1)) }
      scene.close(slow)
      for _ in 2...5 { try lose() }
      _ = try scene.outcome(11)
      #expect(scene.view.gate.openSince != nil)
      for _ in 0..<2 { scene.pass(.milliseconds(1100)) }
      #expect(!scene.outcomes.contains { $0.hasPrefix("waits") })
      let (last, _) = try scene.serve()
      _ = try scene.request(on: last)
      scene.send(.empty, on: last)
      #expect(try scene.outcome(13).last == "waits: answered 0")
    }
  }

  @Test func `a worker keeps connections also while another one has many`() async throws {
    try await ViewScene.run(workers: 2, inFlight: 2) { scene in
      for name in ["one", "two"] { scene.ask(name, by: 0) }
      for _ in 1...2 { try scene.serve() }
      _ = try scene.outcome(2)
      scene.ask("three", by: 1)
      let (socket, _) = try scene.serve()
      _ = try scene.outcome(3)
      scene.ask("four", by: 1)
      _ = try scene.request(on: socket)
      scene.send(.empty, on: socket)
      #expect(try scene.outcome(4).last == "four: answered 0")
    }
  }

  @Test func `a question that is not a request is not sent`() async throws {
    try await ViewScene.run { scene in
      var question = ViewQuestion.receive
      question.id = "a\r\nX-Sluice-Id: b"
      scene.ask("one", question)
      let outcome = try scene.outcome()
      #expect(outcome == ["one: unusable, not run: a field of the question would be more than one line"])
      scene.settle()
      #expect(scene.acceptNow() == nil)
      scene.ask("two")
      try scene.serve()
      _ = try scene.outcome(2)
    }
  }

  @Test func `an answer says how long the view had failed`() async throws {
    try await ViewScene.run { scene in
      var failedFor: [Duration] = []
      _ = scene.askers[0].ask(.receive, terms(.unsent, patience: .seconds(30))) { outcome in
        if case .answered(let answer) = outcome { failedFor.append(answer.failedFor) }
      }
      let (socket, _) = try scene.serve(.answer(503, body: "{}"))
      scene.settle()
      scene.pass(.milliseconds(300))
      _ = try scene.request(on: socket)
      scene.send(.empty, on: socket)
      for _ in 0..<1000 where failedFor.isEmpty {
        scene.settle()
        usleep(200)
      }
      #expect(failedFor == [.milliseconds(300)])
    }
  }

  @Test func `a server that ends each connection is let end it`() async throws {
    try await ViewScene.run { scene in
      for name in ["one", "two"] {
        scene.ask(name)
        let (socket, _) = try scene.serve("HTTP/1.1 204 X\r\nConnection: close\r\n\r\n")
        _ = try scene.outcome(name == "one" ? 1 : 2)
        #expect(scene.view.links.open.count == 1)
        scene.close(socket)
        scene.settle()
      }
      #expect(scene.outcomes == ["one: answered 0", "two: answered 0"])
    }
  }

  @Test(arguments: [
    (
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{\"do\"", true,
      "failed, may have run: the server closed the connection before the end of the answer"
    ),
    ("Segmentation fault\r\n\r\n", false, "failed, may have run: the answer is not an HTTP/1 response"),
    (.answer(200, body: #"{"do": 1}"#), false, "unusable, may have run: \"do\" in the answer must be a list"),
    (
      .answer(200, "text/html", "<html>"), false,
      "unusable, may have run: the server answered 200 with text/html, and not with JSON"
    ),
    (
      .answer(500, "text/html", "<title>ValueError at /x</title>Django Version:"), false,
      "failed, may have run: the view raised an exception: ValueError at /x"
    ),
    (
      "HTTP/1.1 302 X\r\nLocation: /login/?next=/x\r\nContent-Length: 0\r\n\r\n", false,
      "unusable, not run: the server answered with a redirect to the page for logging in, /login/"
    ),
    (.answer(401, body: "{}"), false, "unusable, not run: the server answered 401"),
    (
      .answer(403, "text/html", "CSRF verification failed"), false,
      "unusable, not run: Django answered that its check of CSRF failed"
    ),
    (
      .answer(413, "text/html", ""), false,
      "unusable, not run: the server answered 413 to a question"
    ),
    ("HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n", false, "failed, not run: the server answered 503"),
    (.answer(429, body: "{}"), false, "failed, not run: the server answered 429"),
    (.answer(204, body: "{}") + "more", false, "answered 0"),
  ])
  func `an answer that is none is told with its reason`(
    _ answer: String, _ closes: Bool, _ words: String
  ) async throws {
    try await ViewScene.run { scene in
      scene.ask("one", .receive, terms(.unsent))
      let (socket, _) = try scene.serve(answer)
      if closes { scene.close(socket) }
      // How many bytes a question has depends on the time.
      let outcome = try scene.outcome().map {
        $0.prefix(while: { !$0.isNewline }).replacing(#/ of \d+ bytes/#, with: "")
      }
      #expect(outcome == ["one: \(words)"])
    }
  }

  @Test(
    arguments: [
      (.answer(403, body: "{}"), "refused 403"), (.answer(401, body: "{}"), "refused 401"),
      (.answer(409, body: "{}"), "refused 409"),
      (.answer(429, body: "{}"), "refused 429"),
      (.answer(404, body: "{}"), "refused 404"),
      (
        .answer(404, "text/html", "The requested resource was not found on this server."),
        "unusable, may have run: Django answered with its own page for 404: no URL of the project is this one, or the view raised Http404"
      ),
      (.answer(405, body: "{}"), "unusable, not run: the server answered 405"),
      (
        "HTTP/1.1 401 X\r\nWWW-Authenticate: Sluice\r\nContent-Length: 0\r\n\r\n",
        "unusable, not run: the view did not accept the signature"
      ),
      (
        "HTTP/1.1 401 X\r\nWWW-Authenticate: Basic realm=a, SLUICE x\r\nContent-Length: 0\r\n\r\n",
        "unusable, not run: the view did not accept the signature"
      ),
      (.answer(500, body: "{}"), "unusable, may have run: the server answered 500"),
      (.answer(503, body: "{}"), "unusable, not run: the server answered 503"),
    ] as [(String, String)])
  func `a view refuses a client by status, and is not asked again`(_ answer: String, _ words: String)
    async throws
  {
    try await ViewScene.run { scene in
      scene.ask("one", .connect, terms(patience: .seconds(10)))
      try scene.serve(answer)
      #expect(try scene.outcome() == ["one: \(words)"])
    }
  }

  @Test func `a page for 400 is the view's own where it has answered before, and says nothing of the host`()
    async throws
  {
    let bare = String.answer(400, "text/html", "<h1>Bad Request (400)</h1>")
    let named = String.answer(400, "text/html", "DisallowedHost at /")
    try await ViewScene.run { scene in
      scene.ask("one", .connect, terms(patience: .seconds(10)))
      let (socket, _) = try scene.serve(bare)
      #expect(try scene.outcome().last?.hasPrefix("one: unusable, not run: Django answered 400") == true)
      for (number, answer) in [String.empty, bare, named].enumerated() {
        scene.ask("\(number)", .connect, terms(patience: .seconds(10)))
        _ = try scene.request(on: socket)
        scene.send(answer, on: socket)
        _ = try scene.outcome(number + 2)
      }
      #expect(Array(scene.outcomes[1...2]) == ["0: answered 0", "1: refused 400"])
      #expect(scene.outcomes[3].hasPrefix("2: unusable, not run: Django answered 400"))
    }
  }

  @Test func `what the gateway itself ends is not asked again`() async throws {
    try await ViewScene.run { scene in
      scene.ask("one", .receive, terms(.always, patience: .seconds(30)))
      let (socket, _) = try scene.serve()
      _ = try scene.outcome()
      scene.ask("two", .receive, terms())
      _ = try scene.request(on: socket)
      for connection in scene.reactor.connections { connection.abort() }
      #expect(try scene.outcome(2).last?.hasPrefix("two: failed") == true)
      #expect(scene.acceptNow() == nil)
    }
  }

  @Test func `a new mistake has its line however often another one was told`() async throws {
    try await ViewScene.run { scene in
      scene.ask("0", .receive, terms())
      let (socket, _) = try scene.serve(.answer(200, body: "[]"))
      _ = try scene.outcome()
      for number in 1...8 {
        scene.ask("\(number)", .receive, terms())
        _ = try scene.request(on: socket)
        scene.send(.answer(number < 8 ? 200 : 403, body: "[]"), on: socket)
        _ = try scene.outcome(number + 1)
      }
      #expect(scene.lines.all.count == 7)
      #expect(scene.lines.all.last?.contains("403") == true)
    }
  }

  @Test func `a view that never answers is given up after its time`() async throws {
    try await ViewScene.run { scene in
      scene.ask("one", .receive, terms(.unsent))
      let socket = try scene.accept()
      _ = try scene.request(on: socket)
      scene.pass(.milliseconds(4900))
      #expect(scene.outcomes == [])
      scene.pass(.milliseconds(200))
      #expect(scene.outcomes == ["one: failed, may have run: the server did not answer in time"])
      let isClosed = try scene.isClosed(socket)
      #expect(isClosed)
      // What trickles in does not prolong it.
      scene.ask("two", .receive, terms(.unsent))
      let (other, _) = try scene.serve("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
      for _ in 0..<6 {
        scene.pass(.milliseconds(850))
        scene.send("x", on: other)
      }
      #expect(
        scene.outcomes.last == "two: failed, may have run: the whole answer did not arrive in time")
    }
  }

  @Test func `nobody listens: not a byte was sent, and it is asked again`() async throws {
    try await ViewScene.run(isListening: false) { scene in
      scene.ask("one", .receive, terms(.unsent))
      let outcome = try scene.outcome()
      #expect(outcome == ["one: failed, not run: Connection refused"])
      scene.ask("two", .receive, terms(.unsent, patience: .seconds(2)))
      for _ in 0..<8 { scene.pass(.milliseconds(500)) }
      #expect(scene.outcomes.count == 2)
      #expect(
        scene.lines.all.first == "warning an upstream did not answer as expected: Connection refused")
    }
  }

  @Test func `a question that failed is asked again with its id and the next number`() async throws {
    try await ViewScene.run { scene in
      scene.ask("one", .receive, terms(.unsent, patience: .seconds(30)))
      let (socket, first) = try scene.serve(.answer(503, body: "{}"))
      #expect(first.contains("\"attempt\":1,"))
      scene.settle()
      #expect(scene.outcomes == [])
      scene.pass(.milliseconds(300))
      let second = try scene.request(on: socket)
      #expect(second.contains("\"attempt\":2,") && second.contains("X-Sluice-Id: f00d-1"))
      scene.send(.empty, on: socket)
      #expect(try scene.outcome() == ["one: answered 0"])
    }
  }

  @Test func `an error of the view is told of at the first attempt, and what came of it says whose it was`()
    async throws
  {
    try await ViewScene.run { scene in
      var failure: ViewFailure?
      _ = scene.askers[0].ask(.receive, terms(.always, patience: .milliseconds(300))) { outcome in
        if case .failed(let found) = outcome { failure = found }
      }
      let (socket, _) = try scene.serve(.answer(500, "text/html", "<h1>Server Error (500)</h1>"))
      scene.settle()
      #expect(failure == nil)
      #expect(
        scene.lines.all == ["warning an upstream did not answer as expected: the server answered 500"])
      scene.pass(.milliseconds(300))
      _ = try scene.request(on: socket)
      scene.send(.answer(500, body: "{}"), on: socket)
      scene.settle()
      #expect(failure == ViewFailure(reason: "the server answered 500", mayHaveRun: true, isOfView: true))
    }
  }

  @Test func `one that is forgotten while it waits is never sent`() async throws {
    try await ViewScene.run(inFlight: 1) { scene in
      scene.ask("one")
      let two = scene.ask("two")
      scene.ask("three")
      #expect(!scene.askers[0].forget(two))
      let (socket, _) = try scene.serve()
      let next = try scene.request(on: socket)
      scene.send(.empty, on: socket)
      #expect(next.contains("POST"))
      #expect(try scene.outcome(2) == ["one: answered 0", "three: answered 0"])
      #expect(scene.askers[0].isIdle)
    }
  }

  @Test func `one that is forgotten while the view runs takes its place until the answer`() async throws {
    try await ViewScene.run(inFlight: 1) { scene in
      let one = scene.ask("one")
      scene.ask("two")
      let socket = try scene.accept()
      _ = try scene.request(on: socket)
      #expect(scene.askers[0].forget(one))
      scene.settle()
      #expect(scene.acceptNow() == nil)
      scene.send(.empty, on: socket)
      _ = try scene.request(on: socket)
      scene.send(.empty, on: socket)
      #expect(try scene.outcome() == ["two: answered 0"])
    }
  }

  @Test func `whoever forgets one that was sent is told when the view is done with it`() async throws {
    try await ViewScene.run(inFlight: 1) { scene in
      var over: [String] = []
      let one = scene.ask("one")
      let two = scene.ask("two")
      scene.ask("three")
      let socket = try scene.accept()
      _ = try scene.request(on: socket)
      #expect(scene.askers[0].forget(one) { over.append("one") })
      // The view has never heard of it.
      #expect(!scene.askers[0].forget(two) { over.append("two") })
      scene.settle()
      #expect(over.isEmpty)
      scene.send(.empty, on: socket)
      _ = try scene.request(on: socket)
      #expect(over == ["one"])
      scene.send(.empty, on: socket)
      #expect(try scene.outcome() == ["three: answered 0"])
      #expect(over == ["one"] && scene.askers[0].isIdle)
    }
  }

  @Test func `the end of the time for an answer is the end of one that is forgotten`() async throws {
    try await ViewScene.run { scene in
      var isOver = false
      let one = scene.ask("one")
      _ = try scene.request(on: try scene.accept())
      #expect(scene.askers[0].forget(one) { isOver = true })
      scene.pass(.seconds(4))
      #expect(!isOver)
      scene.pass(.seconds(2))
      #expect(isOver && scene.askers[0].isIdle && scene.outcomes.isEmpty)
    }
  }

  @Test func `ten thousand that come and go leave nothing`() async throws {
    try await ViewScene.run(inFlight: 1) { scene in
      scene.ask("one")
      for number in 0..<10_000 { scene.askers[0].forget(scene.ask("\(number)", .connect)) }
      try scene.serve()
      #expect(try scene.outcome() == ["one: answered 0"])
      #expect(scene.askers[0].isIdle && scene.acceptNow() == nil)
    }
  }

  @Test func `workers share the places, and their askers take turns`() async throws {
    try await ViewScene.run(workers: 2, inFlight: 1) { scene in
      scene.ask("first", by: 0)
      for number in 1...3 { scene.ask("a\(number)", by: 0, terms(asker: "a")) }
      for number in 1...2 { scene.ask("b\(number)", by: 1, terms(asker: "b")) }
      for count in 1...6 {
        try scene.answerAny()
        _ = try scene.outcome(count)
      }
      #expect(scene.outcomes.map { $0.prefix { $0 != ":" } } == ["first", "a1", "b1", "a2", "b2", "a3"])
    }
  }

  @Test func `a view that is away is asked once a second, and clients that connect are told at once`()
    async throws
  {
    try await ViewScene.run { scene in
      for number in 1...5 { scene.ask("\(number)", .receive, terms(.unsent)) }
      for _ in 1...5 { scene.close(try scene.accept()) }
      _ = try scene.outcome(5)
      scene.outcomes = []
      scene.ask("connect", .connect, terms(patience: .seconds(10)))
      scene.ask("waits", .receive, terms(.unsent, patience: .seconds(30)))
      scene.settle()
      #expect(
        scene.outcomes == ["connect: failed, not run: the view does not answer, and is asked once a second"])
      #expect(scene.acceptNow() == nil)
      scene.pass(.milliseconds(1100))
      let (socket, _) = try scene.serve()
      #expect(try scene.outcome(2).last == "waits: answered 0")
      scene.ask("again", .connect)
      _ = try scene.request(on: socket)
      scene.send(.empty, on: socket)
      #expect(try scene.outcome(3).last == "again: answered 0")
      #expect(
        scene.lines.all.map { $0.prefix { $0 != ":" } } == [
          "warning an upstream did not answer as expected", "warning a view does not answer",
          "info a view answers again",
        ])
    }
  }

  @Test func `those that wait for a view that is away are given up after their patience`() async throws {
    try await ViewScene.run(isListening: false) { scene in
      for number in 1...5 { scene.ask("\(number)", .receive, terms(.unsent)) }
      _ = try scene.outcome(5)
      scene.outcomes = []
      for number in 1...3 { scene.ask("\(number)", .receive, terms(.unsent, patience: .seconds(30))) }
      for _ in 0..<40 { scene.pass(.seconds(1)) }
      #expect(scene.outcomes.count == 3 && scene.askers[0].isIdle)
    }
  }

  @Test func `towards the end of a stop only reports are asked, and what is under way is waited for`()
    async throws
  {
    try await ViewScene.run(inFlight: 2) { scene in
      var report = terms(.always, patience: .seconds(30))
      report.lane = .reports
      for name in ["one", "two", "three"] {
        scene.ask(name, .receive, terms(.always, patience: .seconds(30)))
      }
      scene.ask("report", .receive, report)
      let (one, two) = (try scene.accept(), try scene.accept())
      for socket in [one, two] { _ = try scene.request(on: socket) }
      // The second one is to be asked again.
      scene.send(.answer(503, body: "{}"), on: two)
      scene.settle()
      _ = try scene.request(on: two)
      scene.send(.answer(503, body: "{}"), on: two)
      scene.settle()
      scene.askers[0].askReportsOnly()
      scene.settle()
      #expect(Set(scene.outcomes.map { $0.prefix(3) }) == ["two", "thr"])
      scene.send(.empty, on: one)
      #expect(try scene.outcome(3).last == "one: answered 0")
      _ = try scene.request(on: two)
      scene.send(.empty, on: two)
      #expect(try scene.outcome(4).last == "report: answered 0")
      #expect(scene.askers[0].isIdle)
    }
  }

  @Test func `towards the end of a stop what was under way and fails is not asked again`() async throws {
    try await ViewScene.run(inFlight: 2) { scene in
      scene.ask("one", .receive, terms(.always, patience: .seconds(30)))
      let socket = try scene.accept()
      _ = try scene.request(on: socket)
      scene.askers[0].askReportsOnly()
      scene.send(.answer(503, body: "{}"), on: socket)
      #expect(try scene.outcome().first?.hasPrefix("one: failed") == true)
      scene.ask("two", .receive, terms(.always, patience: .seconds(30)))
      #expect(try scene.outcome(2).last?.hasPrefix("two: failed, not run") == true)
      // Reports have all places now.
      var report = terms(.always, patience: .seconds(30))
      report.lane = .reports
      for name in ["a", "b"] { scene.ask(name, .receive, report) }
      _ = try scene.request(on: socket)
      _ = try scene.request(on: try scene.accept())
      #expect(scene.outcomes.count == 2)
    }
  }

  @Test func `a route whose view never answers does not hold up another one`() async throws {
    try await ViewScene.run(inFlight: 2) { scene in
      var other = scene.view.configuration
      other.inFlight = 3
      let asker = RouteAsker(
        RouteView(
          other, of: "other", failures: scene.workers[0].process.upstreamFailures, log: scene.lines.log),
        of: scene.workers[0])
      for number in 1...20 { scene.ask("\(number)") }
      for _ in 1...2 { _ = try scene.request(on: try scene.accept()) }
      #expect(scene.acceptNow() == nil)
      _ = asker.ask(.receive, terms()) { scene.outcomes.append("other: \($0.words)") }
      try scene.serve()
      #expect(try scene.outcome() == ["other: answered 0"])
    }
  }

  @Test func `a server that answers before it has read everything is heard`() async throws {
    try await ViewScene.run { scene in
      let text = [UInt8](repeating: UInt8(ascii: "x"), count: 8 << 20)
      scene.ask("one", .asking(.receive([.init(number: 1, payload: .text(text))])), terms(.unsent))
      let socket = try scene.accept()
      scene.settle()
      scene.send("HTTP/1.1 413 X\r\nContent-Length: 0\r\n\r\n", on: socket)
      let outcome = try scene.outcome()
      #expect(outcome[0].contains("the server answered 413 to a question of"))
      scene.close(socket)
    }
  }
}
