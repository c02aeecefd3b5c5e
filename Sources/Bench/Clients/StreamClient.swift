import Bytes
import Transport
import WebSocketCore

/// A client that reads server-sent events. It is open when the head of the stream has arrived.
final class StreamClient: LoadClient {
  private let target: Target
  private var answers = AnswerReader()
  private var events = EventReader(longest: largestMessage)

  override init(
    _ part: any ClientPart, _ descriptor: consuming Descriptor, to place: Destination, of crew: Crew
  ) {
    target = place.target
    super.init(part, descriptor, to: place, of: crew)
  }

  override func greet() {
    var head =
      "GET \(target.requestTarget) HTTP/1.1\r\nHost: \(target.authority)\r\nAccept: text/event-stream\r\n"
    for field in crew.plan.load.fields { head += "\(field.name): \(field.value)\r\n" }
    write(OpaqueText.bytes(of: head + "\r\n").rawBytes)
  }

  override var endedEarly: String { "the server ended an event stream" }

  override func sayGoodbye() {
    abort()
  }

  override func read(_ bytes: inout MutableRawSpan) {
    answers.read(bytes.bytes, of: self)
  }
}

extension StreamClient: AnswerSink {
  func head(_ head: AnswerHead) throws(AnswerFault) {
    guard head.status == 200 else { throw AnswerFault("the server answered \(head.status) \(head.phrase)") }
    guard head.isEventStream else {
      throw AnswerFault("the server's answer is no event stream (text/event-stream)")
    }
    open()
  }

  func body(_ bytes: RawSpan) throws(AnswerFault) {
    try events.read(bytes) { data in part.received(.text, data, for: self, crew) }
  }

  func ended(isLast: Bool) throws(AnswerFault) {
    throw AnswerFault(endedEarly)
  }
}
