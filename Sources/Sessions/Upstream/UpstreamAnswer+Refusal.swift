import Transport
import WebSocketCore

extension UpstreamFetcher.Answer {
  /// The refusal of a client in the server's own words; those of a close frame are the gateway's, which a page can show to its user.
  ///
  /// - Parameter row: of another status than 401, 403, 404 and 429.
  func refusal(otherwise row: Refusal) -> Refusal {
    switch status {
    case 401: passed(by: .refusedByCallback)
    case 403: passed(by: .forbiddenByCallback)
    case 404: passed(by: .notFoundByCallback)
    case 429: tooMany
    default: passed(by: row)
    }
  }

  private func passed(by row: Refusal) -> Refusal {
    var passed = fields.filter { $0.name == "www-authenticate" }
    if let body, !body.isEmpty {
      passed += fields.filter { $0.name == "content-type" }
    }
    return row.answering(status, passed, body: body ?? [])
  }

  /// Only when to come again is the server's.
  private var tooMany: Refusal {
    let after = fields.first { $0.name == "retry-after" && $0.value.utf8.count <= 64 }
    var row = Refusal.tooManyForCallback
    row.fields = after.map { [HeaderField(name: "Retry-After", value: $0.value)] } ?? []
    return row
  }

  /// When it is worth to come again, if the server says so in seconds (RFC 9110 section 10.2.3).
  var retryAfter: Duration? {
    fields.onlyValue(of: "retry-after").flatMap { UInt32($0) }.map { .seconds($0) }
  }
}
