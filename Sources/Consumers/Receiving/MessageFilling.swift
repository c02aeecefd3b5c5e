import Bytes
import ChannelLayers
import GatewayConfig
import JSON
import Routing
import Transport

/// Fills the templates for one message of a session, or for its greeting.
///
/// What a place stands for was decided when the file was read; a message only ever fills places of its own members.
struct MessageFilling<Session: ConsumerSession> {
  let session: Session
  /// Nil for a message that is no JSON object, and without a message.
  var frame: FrameMembers?
  /// The group of the event that is made; nil for the first one of the session.
  var group: String?
  /// Made when it is first asked for, so that it is the same in all of a message.
  private var id: String?
  private var time: (text: String, seconds: Double)?

  init(_ session: Session, frame: FrameMembers? = nil) {
    self.session = session
    self.frame = frame
  }

  // MARK: - Templates

  /// JSON text.
  mutating func json(_ template: MessageTemplate, _ payload: RawSpan) -> [UInt8] {
    var bytes: [UInt8] = []
    append(template, payload, to: &bytes)
    return bytes
  }

  /// The value of an event's field.
  mutating func value(_ template: MessageTemplate, _ payload: RawSpan) -> EventValue {
    switch template {
    case .place(let place): value(of: place, payload) ?? .json(.null)
    case .text(let parts): .text(Array(text(parts, payload).utf8))
    case .constant(let value): .json(value)
    case .array, .object: .encodedJSON(json(template, payload))
    }
  }

  /// Text around places.
  mutating func text(_ parts: [MessageTemplate.Part], _ payload: RawSpan) -> String {
    var text = ""
    for part in parts {
      switch part {
      case .literal(let literal): text += literal
      case .place(let place): text += value(of: place, payload)?.plainText ?? ""
      }
    }
    return text
  }

  private mutating func append(_ template: MessageTemplate, _ payload: RawSpan, to bytes: inout [UInt8]) {
    switch template {
    case .place(let place): bytes += value(of: place, payload)?.jsonText ?? Array("null".utf8)
    case .text(let parts): JSONText.append(string: text(parts, payload), to: &bytes)
    case .constant(let value): value.append(to: &bytes)
    case .array(let elements):
      JSONText.append(list: elements, to: &bytes) { append($0, payload, to: &$1) }
    case .object(let members):
      JSONText.append(object: members, name: \.key, to: &bytes) { append($0.value, payload, to: &$1) }
    }
  }

  // MARK: - Places

  private mutating func value(of place: MessagePlace, _ payload: RawSpan) -> EventValue? {
    switch place {
    case .frame(let path): return frame?.value(at: path, in: payload)
    case .user: return Self.text(session.identity?.user)
    case .claim(let path): return session.identity?.claims.claim(path).map(EventValue.json)
    case .capture(let name): return Self.text(session.captures[name])
    case .address: return Self.text(session.address)
    case .state(let path): return session.viewState?.value(at: path).map(EventValue.json)
    case .time: return Self.text(now().text)
    case .timestamp: return .json(.double(now().seconds))
    case .id: return Self.text(newID())
    case .group: return Self.text(group ?? session.firstGroup)
    }
  }

  private static func text(_ text: String?) -> EventValue? { text.map { .json(.string($0)) } }

  private mutating func now() -> (text: String, seconds: Double) {
    if let time { return time }
    let now = WallClock.moment
    time = now
    return now
  }

  private mutating func newID() -> String {
    if let id { return id }
    let new = MessageID.new()
    id = new
    return new
  }
}
