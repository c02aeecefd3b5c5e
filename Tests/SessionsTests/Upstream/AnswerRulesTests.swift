import NIOHTTP1
import Testing

@testable import Sessions

/// What happens on a connection, one word each: `ask`, `sent` (the end of the request), `read N` (bytes of the server), a status (a
/// head), `body`, `end`.
private func fault(_ events: String) -> UpstreamFault? {
  var rules = AnswerRules()
  do throws(UpstreamFault) {
    for event in events.split(separator: ",").map({ $0.split(separator: " ") }) {
      switch event[0] {
      case "ask": try rules.requestBegins()
      case "sent": rules.requestEnds()
      case "read":
        try rules.reads(Int(event[1]) ?? 0)
        try rules.hasDecoded()
      case "body": try rules.receivesBody()
      case "end": try rules.receivesEnd(nil)
      default:
        let head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: Int(event[0]) ?? 0))
        _ = try rules.receives(head)
      }
    }
    return nil
  } catch {
    return error
  }
}

struct AnswerRulesTests {
  @Test(arguments: [
    "ask,sent,read 100,200,body,body,end", "ask,sent,200,end,ask,sent,404,body,end",
    "ask,sent,100,103,200,end",
    // An answer may come before the request has been sent, and be complete by then.
    "ask,403,end,sent,ask,sent,200,end", "ask,200,body,sent,body,end", "ask,sent,999,end",
    "ask,sent,read 65536,200,read 60000,body,read 60000,body,read 60000,end",
  ])
  func `what a server may do`(_ events: String) {
    #expect(fault(events) == nil)
  }

  @Test(arguments: [
    ("read 1", UpstreamFault.unasked), ("ask,sent,200,end,read 1", .unasked),
    ("ask,200,end,read 1", .unasked),
    ("ask,sent,99", .status(99)), ("ask,sent,0", .status(0)), ("ask,sent,101", .switchedProtocols),
    ("ask,sent" + String(repeating: ",100", count: 33), .interimAnswers),
    ("ask,sent,100,body", .disorder), ("ask,sent,body", .disorder), ("ask,sent,end", .disorder),
    ("ask,sent,200,200", .disorder), ("ask,sent,200,end,end", .disorder), ("200", .disorder),
    ("ask,sent,200,end,200", .disorder), ("ask,200,end,100", .disorder), ("ask,ask", .disorder),
    ("ask,sent,read 60000,100,read 60000", .tooLong), ("ask,sent,200,body,read 60000,read 60000", .tooLong),
  ])
  func `what it may not do`(_ events: String, _ expected: UpstreamFault) {
    #expect(fault(events) == expected)
  }

  @Test(
    arguments: [
      (["a": "b\tc", "transfer-encoding": "Chunked"], nil),
      (["a": "b\r\nc: d"], .field("a")), (["a": "b\0"], .field("a")), (["a": "\u{7F}"], .field("a")),
      (["a\nb": "c"], .field("a?b")), (["transfer-encoding": "gzip"], .coding("gzip")),
      (["transfer-encoding": "gzip", "Transfer-Encoding": "chunked"], .coding("gzip, chunked")),
    ] as [(HTTPHeaders, UpstreamFault?)])
  func `what stands in its fields`(_ fields: HTTPHeaders, _ expected: UpstreamFault?) {
    var rules = AnswerRules()
    var found: UpstreamFault?
    do throws(UpstreamFault) {
      try rules.requestBegins()
      _ = try rules.receives(HTTPResponseHead(version: .http1_1, status: .ok, headers: fields))
    } catch {
      found = error
    }
    #expect(found == expected)
  }
}
