import Bytes
import JSON
import WebSocketCore

extension WebSocketOverHTTP {
  /// Reads the answer to a question, with status 200.
  ///
  /// What is answered to *disconnect* does not matter, as there is nobody to whom anything could be sent.
  static func answer(
    _ fields: [HeaderField], _ body: [UInt8], to question: ViewQuestion
  ) throws(Fault) -> ViewAnswer {
    if case .disconnect = question.event { return ViewAnswer() }
    try checkType(fields)
    let events: [WebSocketEvent]
    do throws(WebSocketEvent.Fault) {
      events = try WebSocketEvent.decode(body)
    } catch {
      throw Fault("the body of the answer cannot be read: \(error.description)")
    }
    var reader = EventsAnswerReader(to: question)
    try reader.read(fields, to: question)
    try reader.read(events, to: question)
    return reader.answer
  }

  private static func checkType(_ fields: [HeaderField]) throws(Fault) {
    let type = fields.firstValue(of: "content-type") ?? ""
    let essence = type.prefix { $0 != ";" && $0 != " " }
    guard essence.lowercased() == mediaType else {
      throw Fault("the Content-Type of the answer is \"\(type)\", not \(mediaType)")
    }
  }
}

/// Makes an answer of the fields and the events of one response.
private struct EventsAnswerReader {
  typealias Fault = WebSocketOverHTTP.Fault

  var answer = ViewAnswer()
  private let before: GripState
  private var state: GripState

  init(to question: ViewQuestion) {
    before = GripState(question.session?.state)
    state = before
  }

  // MARK: - Fields

  mutating func read(_ fields: [HeaderField], to question: ViewQuestion) throws(Fault) {
    if case .connect(let details, let isAgain) = question.event {
      state.prefix = try Self.prefix(fields)
      // The one of an open session stays.
      if !isAgain { answer.subprotocol = try Self.subprotocol(fields, offered: details.subprotocols) }
    }
    for field in fields where field.name.hasPrefix("set-meta-") {
      let name = String(field.name.dropFirst("set-meta-".count))
      guard !name.isEmpty else { throw Fault("the field Set-Meta- of the answer has no name behind it") }
      state.set(name, to: field.value)
    }
    if state != before {
      let json = state.json ?? Array("null".utf8)
      guard json.count <= ViewRecord.longestState else {
        throw Fault(
          "the Meta fields take \(json.count) bytes, and at most \(ViewRecord.longestState) are kept")
      }
      answer.state = json
    }
    answer.idle = try Self.keepAlive(fields)
    if case .receive(let messages) = question.event { answer.taken = try Self.taken(fields, of: messages) }
  }

  /// `Sec-WebSocket-Extensions: grip; message-prefix="m:"`; nil without it.
  private static func prefix(_ fields: [HeaderField]) throws(Fault) -> String? {
    for value in fields.values(of: "sec-websocket-extensions") {
      guard let offers = GripExtension.all(in: value) else {
        throw Fault("the field Sec-WebSocket-Extensions of the answer cannot be read")
      }
      if let grip = offers.first(where: { $0.name.lowercased() == "grip" }) { return grip.prefix ?? "m:" }
    }
    return nil
  }

  private static func subprotocol(_ fields: [HeaderField], offered: [String]) throws(Fault) -> String? {
    guard let chosen = fields.firstValue(of: "sec-websocket-protocol"), !chosen.isEmpty else { return nil }
    guard offered.contains(chosen) else {
      throw Fault("the answer chooses the subprotocol \"\(chosen)\", which the client did not offer")
    }
    return chosen
  }

  /// `Keep-Alive-Interval`, in seconds, of which pushpin makes 20 at least. Anything but a number above zero turns it off.
  private static func keepAlive(_ fields: [HeaderField]) throws(Fault) -> ViewAnswer.Idle? {
    guard let text = fields.firstValue(of: "keep-alive-interval") else { return nil }
    guard let seconds = Int(text), seconds > 0 else { return .silent }
    return .asked(after: .seconds(min(max(seconds, 20), 86_400)))
  }

  /// `Content-Bytes-Accepted`: the contents of how many messages, counted in bytes, need not be sent again.
  private static func taken(
    _ fields: [HeaderField], of messages: [ViewQuestion.Message]
  ) throws(Fault) -> Int? {
    guard let text = fields.firstValue(of: "content-bytes-accepted") else { return nil }
    guard let bytes = Int(text), bytes >= 0 else {
      throw Fault("Content-Bytes-Accepted of the answer is not a number: \"\(text.prefix(20))\"")
    }
    var (count, sum) = (0, 0)
    // An empty message behind the last accepted one is accepted too.
    while count < messages.count, sum + messages[count].payload.count <= bytes {
      sum += messages[count].payload.count
      count += 1
    }
    guard sum == bytes else {
      throw Fault(
        count == messages.count
          ? "Content-Bytes-Accepted is \(bytes), and the messages have \(sum) bytes"
          : "Content-Bytes-Accepted is \(bytes), which is within a message: only whole ones can be accepted")
    }
    return count
  }

  // MARK: - Events

  mutating func read(_ events: [WebSocketEvent], to question: ViewQuestion) throws(Fault) {
    var events = events[...]
    if case .connect = question.event {
      guard events.first?.kind == .open else {
        throw Fault("the first event of the answer to OPEN has to be OPEN")
      }
      events = events.dropFirst()
    }
    for event in events {
      // The connection is over: what follows is for nobody.
      if case .close? = answer.actions.last { return }
      try read(event)
      guard answer.actions.count <= ViewAnswer.mostActions else {
        throw Fault("the answer has more than \(ViewAnswer.mostActions) events")
      }
    }
  }

  private mutating func read(_ event: WebSocketEvent) throws(Fault) {
    let content = event.content ?? []
    switch event.kind {
    case .open: throw Fault("the answer has an OPEN for a connection that is open")
    case .text: try readText(content)
    case .binary: send(.binary, content)
    // Sluice answers the client's pings itself, and sends its own.
    case .ping, .pong: break
    case .close: try readClose(content)
    // Like an error of the server: the client may connect again.
    case .disconnect: answer.actions.append(.close(code: 1011, reason: ""))
    }
  }

  private mutating func readText(_ text: [UInt8]) throws(Fault) {
    guard String(validating: text, as: UTF8.self) != nil else {
      throw Fault("a TEXT of the answer is not UTF-8")
    }
    guard state.prefix != nil, text.starts(with: Array("c:".utf8)) else { return send(.text, text) }
    do throws(GripControl.Fault) {
      switch try GripControl(text.dropFirst(2)) {
      case .subscribe(let channel): answer.actions.append(.join(channel))
      case .unsubscribe(let channel): answer.actions.append(.leave(channel))
      case .passedOver(let what): passOver(what)
      }
    } catch {
      throw Fault(error.message)
    }
  }

  private mutating func send(_ kind: MessageKind, _ content: [UInt8]) {
    guard let prefix = state.prefix else { return answer.actions.append(.send(kind, content)) }
    let bytes = Array(prefix.utf8)
    guard content.starts(with: bytes) else {
      return passOver("a message without the prefix \"\(prefix)\" was not sent")
    }
    answer.actions.append(.send(kind, Array(content.dropFirst(bytes.count))))
  }

  /// A code of 0 is what django-grip writes where its caller gave none.
  private mutating func readClose(_ content: [UInt8]) throws(Fault) {
    guard content.count != 1 else { throw Fault("a CLOSE of the answer has a content of one byte") }
    let code = content.isEmpty ? 0 : UInt16(content[0]) << 8 | UInt16(content[1])
    guard code == 0 || CloseCode(rawValue: code).isValidOnWire else {
      throw Fault("a CLOSE of the answer has the code \(code), which must not be sent")
    }
    guard let reason = String(validating: content.dropFirst(2), as: UTF8.self), reason.utf8.count <= 123
    else { throw Fault("a CLOSE of the answer has a reason that is not UTF-8 of at most 123 bytes") }
    answer.actions.append(.close(code: code == 0 ? 1000 : code, reason: reason))
  }

  private mutating func passOver(_ what: String) {
    guard answer.passedOver.count < 4, !answer.passedOver.contains(what) else { return }
    answer.passedOver.append(what)
  }
}

extension ViewQuestion.Message.Payload {
  /// In bytes.
  fileprivate var count: Int {
    switch self {
    case .text(let bytes), .bytes(let bytes): bytes.count
    }
  }
}
