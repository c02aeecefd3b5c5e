import GatewayConfig
import LayerTestSupport
import Testing
import Transport

@testable import Sessions

/// What the gateway itself ends is no failure of the view.
struct OwnEndTests {
  @Test func `what a stop ends is neither a failure of the view nor a line`() async throws {
    var lines: LogLines?
    try await ViewScene.run { scene in
      lines = scene.lines
      for number in 0..<8 { scene.ask("\(number)") }
      for _ in 0..<8 { _ = try scene.request(on: try scene.accept()) }
    }
    // Here the reactor has ended.
    #expect(try #require(lines).all == [])
  }

  @Test(arguments: [false, true])
  func `the log says whose end it was`(_ givesWay: Bool) async throws {
    try await ViewScene.run { scene in
      var fault: HTTPFault?
      let links = HTTPLinks(scene.view.links, of: scene.workers[0])
      let link = links.ask(Array("POST / HTTP/1.1\r\n\r\n".utf8), isFresh: true, within: .seconds(5)) {
        outcome in
        if case .failure(let reason) = outcome { fault = reason }
      }
      _ = try scene.request(on: try scene.accept())
      if givesWay { link.mustGiveWay() }
      link.closed(.local)
      let reason =
        givesWay ? "the memory for unsent bytes is used up" : "the gateway has ended the connection"
      #expect(fault == HTTPFault(reason: reason, isSent: true, isOwn: !givesWay))
    }
  }

  @Test func `where nobody listens, the fault says at which address, and what to do`() async throws {
    try await ViewScene.run(isListening: false) { scene in
      var fault: HTTPFault?
      let links = HTTPLinks(scene.view.links, of: scene.workers[0])
      _ = links.ask(Array("POST / HTTP/1.1\r\n\r\n".utf8), isFresh: true, within: .seconds(5)) { outcome in
        if case .failure(let found) = outcome { fault = found }
      }
      scene.settle()
      #expect(fault?.reason == "Connection refused" && fault?.isSent == false)
      #expect(fault?.hint?.hasPrefix("start the server that should listen at 127.0.0.1:1,") == true)
    }
  }

  @Test func `a server that closes the connection without an answer is told of with its time-out`()
    async throws
  {
    try await ViewScene.run { scene in
      var fault: HTTPFault?
      let links = HTTPLinks(scene.view.links, of: scene.workers[0])
      _ = links.ask(Array("POST / HTTP/1.1\r\n\r\n".utf8), isFresh: true, within: .seconds(5)) { outcome in
        if case .failure(let found) = outcome { fault = found }
      }
      let socket = try scene.accept()
      _ = try scene.request(on: socket)
      scene.close(socket)
      scene.settle()
      #expect(fault?.reason == "the server closed the connection before it answered")
      #expect(fault?.hint?.contains("--timeout") == true)
    }
  }

  @Test func `a compressed answer cannot be used, and the log says why`() async throws {
    try await ViewScene.run { scene in
      scene.ask("one")
      try scene.serve(
        "HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"
      )
      #expect(
        try scene.outcome() == [
          "one: unusable, may have run: the answer has the Content-Encoding \"gzip\""
        ])
      #expect(
        scene.lines.all == [
          #"warning an upstream did not answer as expected: the answer has the Content-Encoding "gzip""#
        ])
    }
  }
}
