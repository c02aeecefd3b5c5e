import Bytes
import ChannelLayers
import Consumers
import GatewayConfig
import JSON
import Routing
import Sessions
import Transport

/// The members of an order as they came in a request or in an event, and what is made of them.
struct OrderFields {
  /// Why they are no order; a sentence without a full stop.
  struct Fault: Error {
    var text: String
    /// The same for all mistakes of which one line in the log is enough.
    var kind: String

    init(text: String, kind: String? = nil) {
      self.text = text
      self.kind = kind ?? text
    }
  }

  var values: [String: JSON]

  /// The members of an order of this kind.
  static func names(of kind: ControlOrder.Kind) -> [String] {
    switch kind {
    case .disconnect, .mute: ["user", "address", "group", "for", "reason"]
    case .join, .leave: ["user", "address", "group", "groups"]
    case .admit, .unmute: ["user", "group"]
    }
  }

  /// - Parameter now: seconds since 1970.
  func order(_ kind: ControlOrder.Kind, at now: Double) throws(Fault) -> ControlOrder {
    var target = SessionTarget(user: try user(), address: try address())
    var groups: [String] = []
    switch kind {
    case .join, .leave:
      groups = try joined()
      guard !target.isEmpty else { throw Fault(text: "the order needs a \"user\" or an \"address\"") }
    case .disconnect, .mute, .admit, .unmute:
      target.group = try values["group"].map { value throws(Fault) in try group(value) }
      guard !target.isEmpty else {
        throw Fault(
          text: "the order needs a \"user\"\(kind.isLifting ? "" : ", an \"address\"") or a \"group\"")
      }
    }
    var order = ControlOrder(kind, target, until: try end(kind, at: now), reason: try reason())
    order.groups = groups
    guard kind != .disconnect || order.until == nil || target.address == nil else {
      throw Fault(text: "an address ends with its session, so \"for\" needs a \"user\" or a \"group\" alone")
    }
    return order
  }

  /// A user as text, or as the number that Django uses.
  private func user() throws(Fault) -> String? {
    switch values["user"] {
    case nil: return nil
    case .string(let text)? where (1...255).contains(text.utf8.count): return text
    case .integer(let number)?: return String(number)
    default: throw Fault(text: "\"user\" must be a string or a whole number")
    }
  }

  private func address() throws(Fault) -> String? {
    guard let value = values["address"] else { return nil }
    guard let text = value.string, (1...255).contains(text.utf8.count) else {
      throw Fault(text: "\"address\" must be the address of a session, as {channel} shows it")
    }
    return text
  }

  private func group(_ value: JSON) throws(Fault) -> String {
    guard let name = value.string, GroupName.isOpen(name) else {
      throw Fault(
        text:
          "\"\(RequestObject.shown(value.string ?? value.text))\" is not a valid group name: 1 to 99 of A-Z a-z 0-9 . _ -, not beginning with \"sluice.\"",
        kind: "group name")
    }
    return name
  }

  private func joined() throws(Fault) -> [String] {
    var names: [String] = []
    if let value = values["group"] { names.append(try group(value)) }
    if case .array(let several)? = values["groups"] {
      for value in several.prefix(ControlOrder.mostGroups + 1) { names.append(try group(value)) }
    } else if values["groups"] != nil {
      throw Fault(text: "\"groups\" must be a list of group names")
    }
    guard (1...ControlOrder.mostGroups).contains(names.count) else {
      throw Fault(
        text: names.isEmpty
          ? "the order needs a \"group\"" : "an order can name at most \(ControlOrder.mostGroups) groups")
    }
    return names
  }

  /// `for`, or `until` in an event of another process.
  private func end(_ kind: ControlOrder.Kind, at now: Double) throws(Fault) -> Double? {
    let times = StandingOrder.times
    if let until = values["until"] {
      guard let end = until.seconds, end - now <= times.upperBound / .seconds(1) + 60 else {
        throw Fault(text: "\"until\" must be a number of seconds since 1970, at most a year ahead")
      }
      return end
    }
    guard let value = values["for"] else {
      guard kind == .mute else { return nil }
      throw Fault(text: "the order needs a time: \"for\": \"10m\"")
    }
    guard let text = value.string, let time = Duration(written: text, in: times) else {
      throw Fault(
        text:
          "\"for\" must be a time from \(times.lowerBound.written) to \(times.upperBound.written), such as \"10m\""
      )
    }
    return now + time / .seconds(1)
  }

  private func reason() throws(Fault) -> String? {
    guard let value = values["reason"] else { return nil }
    guard let text = value.string else { throw Fault(text: "\"reason\" must be a string") }
    guard text.utf8.count <= ControlOrder.longestReason else {
      throw Fault(text: "a reason can have at most \(ControlOrder.longestReason) bytes")
    }
    return text.isEmpty ? nil : text
  }
}

extension ControlOrder.Kind {
  fileprivate var isLifting: Bool { self == .admit || self == .unmute }
}

// MARK: - Requests

extension ControlOrder {
  init(_ kind: Kind, body: [UInt8], at now: Double = WallClock.secondsSinceEpoch) throws(PublishRefusal) {
    let request = try RequestObject(body, what: "the request")
    let names = OrderFields.names(of: kind)
    // A misspelt member is named, and not taken for a missing one.
    try request.check(names)
    var values: [String: JSON] = [:]
    for name in names {
      if let range = request.value(name) { values[name] = request.json(range) }
    }
    try self.init(kind, values, at: now)
  }

  init(_ kind: Kind, _ values: [String: JSON], at now: Double) throws(PublishRefusal) {
    do throws(OrderFields.Fault) {
      self = try OrderFields(values: values).order(kind, at: now)
    } catch {
      throw PublishRefusal(malformed: error.text)
    }
  }
}

// MARK: - Events

extension OrderFields {
  /// Fields that other gateways write into an event of any kind.
  private static let fieldsOfGateways = ["until", "kept", "reason"]
  /// A field that says whom an order is about. Without it, more sessions would be meant.
  private static let targets = ["user", "address", "group", "groups"]

  /// The fields of an event. One that is not known is a fault: it may be a misspelt target.
  fileprivate static func values(
    of event: Event, _ kind: ControlOrder.Kind
  ) throws(Fault) -> [String: JSON] {
    let known = names(of: kind)
    var values: [String: JSON] = [:]
    for field in event.fields {
      guard known.contains(field.name) || fieldsOfGateways.contains(field.name) else {
        let hint = NearestName.hint(for: field.name, in: known).map { ": \($0)" } ?? ""
        throw Fault(text: "unknown field \"\(RequestObject.shown(field.name))\"\(hint)")
      }
      guard let value = field.value.asJSON else { throw Fault(text: "\"\(field.name)\" must not be bytes") }
      // Python's None is a field that is left out.
      if value != .null {
        values[field.name] = value
      } else if targets.contains(field.name) {
        throw Fault(text: "\"\(field.name)\" is None: leave it out, or give it a value")
      }
    }
    return values
  }
}

extension ControlOrder {
  /// For the other processes on the layers.
  var event: Event {
    var fields: [Event.Field] = []
    func add(_ name: String, _ text: String?) {
      if let text { fields.append(.init(name, .text(Array(text.utf8)))) }
    }
    add("user", target.user?.text)
    add("address", target.address)
    add("group", target.group)
    if !groups.isEmpty { fields.append(.init("groups", .json(.array(groups.map(JSON.string))))) }
    if let until { fields.append(.init("until", .json(.double(until)))) }
    // Otherwise each process that gets it tries to have it kept.
    if isKept { fields.append(.init("kept", .json(.bool(true)))) }
    add("reason", reason)
    return Event(type: kind.type, fields: fields)
  }

  /// - Parameter now: seconds since 1970.
  /// - Returns: nil for any other event.
  init?(_ event: Event, at now: Double = WallClock.secondsSinceEpoch) throws(OrderFields.Fault) {
    guard let kind = Kind.allCases.first(where: { $0.type == event.handler }) else { return nil }
    var values = try OrderFields.values(of: event, kind)
    if let reason = values["reason"]?.string {
      values["reason"] = .string(reason.cut(to: Self.longestReason))
    }
    self = try OrderFields(values: values).order(kind, at: now)
    isKept = values["kept"] == .bool(true)
  }

  /// For `init(line:)`; ends in a line feed.
  var line: [UInt8] {
    func text(_ value: String?) -> JSON { value.map(JSON.string) ?? .null }
    let order: JSON = [
      .string(kind.rawValue), text(target.user?.text), text(target.address), text(target.group),
      .array(groups.map(JSON.string)), until.map(JSON.double) ?? .null, .string(reason), .bool(isKept),
    ]
    return order.bytes + "\n".utf8
  }

  init?(line: [UInt8]) {
    guard case .array(let parts)? = try? JSON.parse(line.rawBytes), parts.count == 8,
      let kind = parts[0].string.flatMap(Kind.init(rawValue:)), case .array(let groups) = parts[4]
    else { return nil }
    self.init(
      kind, SessionTarget(user: parts[1].string, address: parts[2].string, group: parts[3].string),
      until: parts[5].seconds, reason: parts[6].string)
    self.groups = groups.compactMap(\.string)
    isKept = parts[7] == .bool(true)
  }
}

extension EventValue {
  /// Nil for bytes.
  fileprivate var asJSON: JSON? {
    switch self {
    case .json(let value): value
    case .encodedJSON(let text): try? JSON.parse(text.rawBytes)
    case .text(let bytes): .string(String(decoding: bytes, as: UTF8.self))
    case .bytes: nil
    }
  }
}

extension String {
  /// The beginning that has at most so many bytes, cut between code points. Forwards, because going back over the characters of
  /// foreign text takes quadratic time.
  fileprivate func cut(to bytes: Int) -> String {
    var kept = String.UnicodeScalarView()
    var left = bytes
    for scalar in unicodeScalars {
      left -= UTF8.width(scalar)
      guard left >= 0 else { break }
      kept.append(scalar)
    }
    return String(kept)
  }
}
