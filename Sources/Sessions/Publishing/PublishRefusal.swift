import GatewayConfig
package import JSON
package import WebSocketCore

/// Why a request on a `publish` route is refused: a row of the table of refusals, whose answer is JSON.
package struct PublishRefusal: Error {
  package let row: Refusal
  /// Further fields of the line in the log, which are not for the client.
  package let facts: [String: String]

  /// - Parameters:
  ///   - text: the sentence for the client; nil for that of the row.
  ///   - fields: header fields besides those of the row.
  package init(
    _ row: Refusal, _ text: String? = nil, fields: [HeaderField] = [], facts: [String: String] = [:]
  ) {
    var row = row
    row.text = text ?? row.text
    row.fields += fields
    self.row = row
    self.facts = facts
  }

  package init(malformed text: String) {
    self.init(.publishMalformed, text)
  }

  /// - Parameter kind: of what has the name: `member`.
  package init(unknown kind: String, _ name: String, in what: String, known: [String]) {
    let name = RequestObject.shown(name)
    let hint = NearestName.hint(for: name, in: known).map { ": \($0)" } ?? ""
    self.init(malformed: "unknown \(kind) \"\(name)\" in \(what)\(hint)")
  }

  package static func busy(_ message: String) -> PublishRefusal {
    PublishRefusal(.publishBusy, message)
  }

  /// `{"error": TEXT}`
  package var answer: HTTPAnswer {
    .json(row.answerStatus, ["error": .string(row.text)], fields: row.fields)
  }
}

extension HTTPAnswer {
  private static let jsonFields = [
    HeaderField(name: "Content-Type", value: "application/json"),
    HeaderField(name: "Cache-Control", value: "no-store"),
  ]

  package static func json(_ status: Int, _ value: JSON, fields: [HeaderField] = []) -> HTTPAnswer {
    var text = value.bytes
    text.append(UInt8(ascii: "\n"))
    return .json(status, text: text, fields: fields)
  }

  /// - Parameter text: with its line feed.
  package static func json(_ status: Int, text: [UInt8], fields: [HeaderField] = []) -> HTTPAnswer {
    HTTPAnswer(status: status, fields: fields.isEmpty ? jsonFields : jsonFields + fields, body: text)
  }
}
