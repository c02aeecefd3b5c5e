import Bytes
import JSON
import Routing

/// The body of a question in Sluice's own `protocol: json`: one object, whose members have a fixed order.
struct JSONQuestion {
  private(set) var text: [UInt8]

  init(_ question: ViewQuestion, _ attempt: ViewAttempt) {
    text = []
    text.reserveCapacity(Self.usualLength)
    add("version", ViewSignature.version)
    add("event", question.event.name)
    add("id", question.id)
    add("attempt", attempt.number)
    add("time", attempt.made)
    add("route", question.place.route)
    if let session = question.session { add(session) }
    add(question.event, client: question.session?.client)
    text.append(UInt8(ascii: "}"))
  }

  /// Most have no more bytes, and their text is allocated once.
  private static let usualLength = 768

  private mutating func add(_ session: ViewRecord) {
    add("address", session.address)
    add("path", session.path)
    add("query", session.query)
    begin("captures", "{")
    for (index, capture) in session.captures.all.enumerated() {
      if index > 0 { text.append(UInt8(ascii: ",")) }
      JSONText.append(string: capture.name, to: &text)
      text.append(UInt8(ascii: ":"))
      JSONText.append(string: capture.value, to: &text)
    }
    text.append(UInt8(ascii: "}"))
    begin("user")
    if let user = session.user { JSONText.append(string: user, to: &text) } else { append("null") }
    begin("claims")
    (session.claims ?? .null).append(to: &text)
    add("groups", session.groups)
    begin("state")
    if let state = session.state { text += state } else { append("null") }
  }

  private mutating func add(_ event: ViewQuestion.Event, client: String?) {
    switch event {
    case .connect(let details, let isAgain):
      add("subprotocols", details.subprotocols)
      if let client { add("client", client) }
      if isAgain { addTruth("again") }
    case .receive(let messages):
      begin("messages", "[")
      for (index, message) in messages.enumerated() { add(message, isFirst: index == 0) }
      text.append(UInt8(ascii: "]"))
    case .disconnect(let end):
      add("code", Int(end.code))
      add("reason", end.reason)
      add("duration", end.duration)
      if end.isPresumed { addTruth("presumed") }
    case .alive(let presence):
      add("addresses", presence.addresses)
      add("part", presence.part)
      add("parts", presence.parts)
      add("interval", presence.interval)
    case .check: break
    }
  }

  private mutating func add(_ message: ViewQuestion.Message, isFirst: Bool) {
    append(isFirst ? "{\"n\":" : ",{\"n\":")
    text.append(text: String(message.number))
    switch message.payload {
    case .text(let payload):
      append(",\"text\":")
      JSONText.append(utf8: payload.rawBytes, to: &text)
      text.append(UInt8(ascii: "}"))
    case .bytes(let payload):
      append(",\"bytes\":\"")
      text += Base64.encoded(payload)
      append("\"}")
    }
  }

  // MARK: - Members

  private mutating func append(_ written: StaticString) {
    text.append(copying: written.rawBytes)
  }

  private mutating func begin(_ name: StaticString, _ opening: StaticString = "") {
    append(text.isEmpty ? "{\"" : ",\"")
    append(name)
    append("\":")
    append(opening)
  }

  private mutating func add(_ name: StaticString, _ value: String) {
    begin(name)
    JSONText.append(string: value, to: &text)
  }

  private mutating func add(_ name: StaticString, _ value: Int) {
    begin(name)
    text.append(text: String(value))
  }

  private mutating func add(_ name: StaticString, _ value: Double) {
    begin(name)
    JSON.double(value).append(to: &text)
  }

  private mutating func add(_ name: StaticString, _ values: [String]) {
    begin(name, "[")
    for (index, value) in values.enumerated() {
      if index > 0 { text.append(UInt8(ascii: ",")) }
      JSONText.append(string: value, to: &text)
    }
    text.append(UInt8(ascii: "]"))
  }

  private mutating func addTruth(_ name: StaticString) {
    begin(name)
    append("true")
  }
}
