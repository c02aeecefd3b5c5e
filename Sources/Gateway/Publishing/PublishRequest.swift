import Bytes
import ChannelLayers
import Consumers
import GatewayConfig
import JSON
import Routing
import Sessions

/// The events that the body of one request asks to publish: in this order, and all of them or, if there is a mistake, none.
struct PublishRequest: Sendable {
  private(set) var events: [GroupEvent] = []
  var idempotencyKey: String?

  /// The most events of one request, counting each group of each item.
  static let mostEvents = 1000
  /// The longest idempotency key. Bytes.
  static let longestKey = 255

  private let sender: PublishSender

  /// - Parameter mayName: whether the route allows the group.
  init(_ body: [UInt8], from sender: PublishSender, mayName: (String) -> Bool) throws(PublishRefusal) {
    self.sender = sender
    let request = try RequestObject(body, what: "the request")
    idempotencyKey = try request.string("idempotency_key")
    if let key = idempotencyKey { try Self.check(key: key) }
    if let items = try request.list("batch") {
      try request.check(Self.namesOfBatch)
      guard !items.isEmpty else { throw PublishRefusal(malformed: "\"batch\" is empty") }
      for (number, range) in items.enumerated() {
        let item = try RequestObject(body, range, what: "item \(number + 1) of \"batch\"")
        try add(item, Self.names, mayName)
      }
    } else {
      try add(request, Self.namesOfOne, mayName)
    }
  }

  static func check(key: String) throws(PublishRefusal) {
    guard (1...longestKey).contains(key.utf8.count) else {
      throw PublishRefusal(malformed: "an idempotency key must have 1 to \(longestKey) bytes")
    }
  }

  /// - Parameter names: those that its members can have.
  private mutating func add(
    _ item: RequestObject, _ names: [String], _ mayName: (String) -> Bool
  ) throws(PublishRefusal) {
    // A misspelt member is reported as unknown, and not as a missing one.
    try item.check(names)
    let groups = try Self.groups(item)
    var event = try event(item)
    event.fields += sender.stamp(on: event)
    event = event.addressed(to: try Self.recipients(item))
    if try Self.isEphemeral(item) { event.fields.append(.init(Event.ephemeralMark, .json(.bool(true)))) }
    guard events.count + groups.count <= Self.mostEvents else {
      throw PublishRefusal(
        .publishTooLarge,
        "a request can publish at most \(Self.mostEvents) events; an event to several groups counts once for each"
      )
    }
    for group in groups {
      guard GroupName.isOpen(group) else {
        throw PublishRefusal(
          malformed:
            "\"\(RequestObject.shown(group))\" is not a valid group name: 1 to 99 of A-Z a-z 0-9 . _ -, not beginning with \"sluice.\""
        )
      }
      guard mayName(group) else {
        throw PublishRefusal(.publishNotAllowed, "this route may not publish to the group \"\(group)\"")
      }
      events.append(GroupEvent(event, to: group))
    }
  }

  private static func groups(_ item: RequestObject) throws(PublishRefusal) -> [String] {
    let group = try item.string("group")
    let groups = try item.list("groups")
    switch (group, groups) {
    case (let group?, nil): return [group]
    case (nil, let ranges?):
      guard !ranges.isEmpty else { throw PublishRefusal(malformed: "\"groups\" in \(item.what) is empty") }
      var names: [String] = []
      var seen: Set<String> = []
      for range in ranges {
        guard case .string(let name) = item.json(range) else {
          throw PublishRefusal(malformed: "\"groups\" in \(item.what) must be a list of group names")
        }
        guard seen.insert(name).inserted else {
          throw PublishRefusal(
            malformed: "the group \"\(RequestObject.shown(name))\" appears twice in \(item.what)")
        }
        names.append(name)
      }
      return names
    case (nil, nil): throw PublishRefusal(malformed: "\(item.what) needs a \"group\", or \"groups\"")
    case (_?, _?):
      throw PublishRefusal(malformed: "\(item.what) can have \"group\" or \"groups\", not both")
    }
  }

  /// `"ephemeral": true`: for what no history keeps.
  private static func isEphemeral(_ item: RequestObject) throws(PublishRefusal) -> Bool {
    guard let range = item.value("ephemeral") else { return false }
    guard case .bool(let value) = item.json(range) else {
      throw PublishRefusal(malformed: "\"ephemeral\" in \(item.what) must be true or false")
    }
    return value
  }

  /// `"except": ADDRESS`, or a list of addresses, and `"to": {"user": USER}`.
  private static func recipients(_ item: RequestObject) throws(PublishRefusal) -> EventRecipients {
    var recipients = EventRecipients()
    if let range = item.value("except") {
      recipients.except = try addresses(item.json(range), in: item)
    }
    guard let range = item.value("to") else { return recipients }
    guard case .object(let members) = item.json(range), members.count == 1, members[0].key == "user",
      let user = members[0].value.textInNames, !user.isEmpty
    else { throw PublishRefusal(malformed: "\"to\" in \(item.what) must be {\"user\": USER}") }
    recipients.user = user
    return recipients
  }

  private static func addresses(
    _ value: JSON, in item: RequestObject
  ) throws(PublishRefusal) -> [String] {
    let values = if case .array(let elements) = value { elements } else { [value] }
    var addresses: [String] = []
    for value in values {
      guard case .string(let address) = value, (1...longestAddress).contains(address.utf8.count) else {
        throw PublishRefusal(
          malformed: "\"except\" in \(item.what) must be the address of a session, or a list of addresses")
      }
      addresses.append(address)
    }
    guard addresses.count <= mostAddresses else {
      throw PublishRefusal(malformed: "\"except\" in \(item.what) has more than \(mostAddresses) addresses")
    }
    return addresses
  }

  /// The most addresses of one item; each is looked for on each reactor.
  private static let mostAddresses = 100
  /// Bytes.
  private static let longestAddress = 255

  // MARK: - Events

  private static let contents = ["event", "message", "text", "bytes"]
  private static let names = ["group", "groups", "ephemeral", "except", "to"] + contents
  private static let namesOfBatch = ["idempotency_key", "batch"]
  private static let namesOfOne = namesOfBatch + names

  private func event(_ item: RequestObject) throws(PublishRefusal) -> Event {
    var found: (key: String, value: Range<Int>)?
    for key in Self.contents {
      guard let value = item.value(key) else { continue }
      if let found {
        throw PublishRefusal(malformed: "\(item.what) can have \"\(found.key)\" or \"\(key)\", not both")
      }
      found = (key, value)
    }
    switch found?.key {
    case "event":
      guard sender.maySendEvents else {
        throw PublishRefusal(
          .publishNotAllowed,
          "this route takes \"message\", \"text\" or \"bytes\" from you, not an \"event\": \"events\" is not in its \"allow\""
        )
      }
      return try Self.event(try item.object(found?.value, what: "the event of \(item.what)"))
    case "message":
      let value = found.map { item.bytes($0.value) } ?? []
      return Event(type: "chat.message", fields: [.init("message", .encodedJSON(value))])
    case "text":
      let text = try item.string("text") ?? ""
      return Event(type: "broadcast.message", fields: [.init("text", .text(Array(text.utf8)))])
    case "bytes":
      guard let text = try item.string("bytes"), let bytes = Base64.decode(Array(text.utf8)) else {
        throw PublishRefusal(malformed: "\"bytes\" in \(item.what) must be base64 (RFC 4648 section 4)")
      }
      return Event(type: "broadcast.message", fields: [.init("bytes", .bytes(bytes))])
    default:
      throw PublishRefusal(
        malformed: "\(item.what) needs an \"event\", or a \"message\", \"text\" or \"bytes\"")
    }
  }

  private static func event(_ object: RequestObject) throws(PublishRefusal) -> Event {
    guard let type = try object.string("type") else {
      throw PublishRefusal(malformed: "\(object.what) needs a \"type\"")
    }
    try check(type: type)
    var event = Event(type: type)
    for (name, range) in object.members where name != "type" {
      // channels_redis writes the receiving channels of a message beside its fields.
      guard !name.isEmpty, !name.hasPrefix("__"), name.utf8.count <= 255 else {
        throw PublishRefusal(
          malformed: "an event cannot have a field called \"\(RequestObject.shown(name))\"")
      }
      event.fields.append(.init(name, value(object, range)))
    }
    return event
  }

  private static func check(type: String) throws(PublishRefusal) {
    guard (1...100).contains(type.utf8.count), type.utf8.allSatisfy(GroupName.isLegal),
      !type.hasPrefix("_"), !type.hasPrefix(".")
    else {
      throw PublishRefusal(
        malformed:
          "\"\(RequestObject.shown(type))\" is not a valid event type: letters, digits, \".\", \"_\" and \"-\", not beginning with \".\" or \"_\""
      )
    }
    guard !HandlerName.isReserved(type) else {
      throw PublishRefusal(
        malformed:
          "\"\(RequestObject.shown(type))\" is reserved: event types that begin with \"sluice.\" are Sluice's own"
      )
    }
  }

  /// Lists and objects are passed on as they were written.
  private static func value(_ object: RequestObject, _ range: Range<Int>) -> EventValue {
    switch object.json(range) {
    case .string(let text): .text(Array(text.utf8))
    case .array, .object: .encodedJSON(object.bytes(range))
    case let value: .json(value)
    }
  }
}

/// The sender of a publish request, as far as it decides what the request may contain.
struct PublishSender: Sendable {
  /// The user whose token the request has; nil for the back end, and on anonymous routes.
  var user: String?
  /// Whether whole events are allowed, with any type and any fields.
  var maySendEvents: Bool

  /// A program with a token of the route, or any client of an anonymous one.
  static let backEnd = PublishSender(user: nil, maySendEvents: true)

  /// The fields that Sluice adds to an event to name its sender, as for messages of WebSocket clients.
  ///
  /// Senders of whole events name the sender themselves.
  func stamp(on event: Event) -> [Event.Field] {
    guard let user, event["user"] == nil else { return [] }
    return [Event.Field("user", .json(.string(user)))]
  }
}
