import Bytes
import ChannelLayers
import GatewayConfig
import JSON
import WebSocketCore

/// Reads one item of the `do` of an answer: an object with one member, which names the action.
struct ViewAction {
  let action: ViewAnswer.Action

  private static let names = ["join", "leave", "send", "publish", "close"]

  init(_ object: RequestObject, of question: ViewQuestion) throws(PublishRefusal) {
    try object.check(Self.names)
    guard let (name, range) = try object.only(of: Self.names) else {
      throw PublishRefusal(
        malformed: "\(object.what) needs one of \(Self.names.map { "\"\($0)\"" }.joined(separator: ", "))")
    }
    try Self.check(name, in: object, of: question)
    switch name {
    case "join": action = .join(try Self.name(object, name))
    case "leave": action = .leave(try Self.name(object, name))
    case "send": action = try Self.send(object.member(range, "send"))
    case "publish": action = .publish(try Self.publication(object.member(range, "publish")))
    default: action = try Self.close(object, range)
    }
  }

  /// After the end of a session there is nobody to send to, and *alive* and *check* are about none.
  private static func check(
    _ name: String, in object: RequestObject, of question: ViewQuestion
  ) throws(PublishRefusal) {
    let isPossible =
      switch question.event {
      case .connect, .receive: true
      // It has left all its groups, and says so where a consumer of Channels does.
      case .disconnect: name == "publish" || name == "leave"
      case .alive, .check: false
      }
    guard isPossible else {
      throw PublishRefusal(
        malformed: "\"\(name)\" in \(object.what) is not possible in an answer to \"\(question.event.name)\"")
    }
  }

  private static func name(_ object: RequestObject, _ key: String) throws(PublishRefusal) -> String {
    guard let name = try object.string(key), !name.isEmpty else {
      throw PublishRefusal(malformed: "\"\(key)\" in \(object.what) is empty")
    }
    return name
  }

  // MARK: - The actions

  private static let payloads = ["json", "text", "bytes"]

  private static func send(_ object: RequestObject) throws(PublishRefusal) -> ViewAnswer.Action {
    try object.check(payloads)
    switch try object.only(of: payloads) {
    case ("json", let range)?: return .send(.text, object.bytes(range))
    case ("text", _)?: return .send(.text, Array((try object.string("text") ?? "").utf8))
    case ("bytes", _)?: return .send(.binary, try object.base64("bytes"))
    default: throw PublishRefusal(malformed: "\(object.what) needs \"json\", \"text\" or \"bytes\"")
    }
  }

  private static let membersOfPublication = ["group", "to", "ephemeral"] + RequestObject.eventContents

  private static func publication(
    _ object: RequestObject
  ) throws(PublishRefusal) -> ViewAnswer.Publication {
    try object.check(membersOfPublication)
    guard object.value("group") != nil else {
      throw PublishRefusal(malformed: "\(object.what) needs a \"group\"")
    }
    let group = try name(object, "group")
    return ViewAnswer.Publication(
      group: group, event: try object.event(mayBeWhole: true), recipients: try recipients(object),
      isEphemeral: try object.isTrue("ephemeral"))
  }

  private static func recipients(
    _ object: RequestObject
  ) throws(PublishRefusal) -> ViewAnswer.Publication.Recipients {
    guard let range = object.value("to") else { return .all }
    let value = object.json(range)
    if value.string == "others" { return .others }
    if case .object(let members) = value, members.count == 1, let user = value.userName(among: ["user"]) {
      return .user(user)
    }
    throw PublishRefusal(malformed: "\"to\" in \(object.what) must be \"others\", or {\"user\": NAME}")
  }

  /// `{"code": ..., "reason": ...}`, or `true` for code 1000.
  private static func close(
    _ object: RequestObject, _ range: Range<Int>
  ) throws(PublishRefusal) -> ViewAnswer.Action {
    if object.json(range) == .bool(true) { return .close(code: 1000, reason: "") }
    let object = try object.member(range, "close")
    try object.check(["code", "reason"])
    var code: Int64 = 1000
    if let value = object.value("code") {
      guard case .integer(let number) = object.json(value), number == 1000 || (3000...4999).contains(number)
      else { throw PublishRefusal(malformed: "\"code\" in \(object.what) must be 1000, or 3000 to 4999") }
      code = number
    }
    let reason = try object.string("reason") ?? ""
    guard reason.utf8.count <= longestReason else {
      throw PublishRefusal(
        malformed: "\"reason\" in \(object.what) has more than \(longestReason) bytes")
    }
    return .close(code: UInt16(code), reason: reason)
  }

  /// RFC 6455 section 5.5. Bytes.
  private static let longestReason = 123
}

extension RequestObject {
  /// The object that is the value of a member.
  fileprivate func member(_ range: Range<Int>, _ name: String) throws(PublishRefusal) -> RequestObject {
    try object(range, what: "\"\(name)\" in \(what)")
  }
}
