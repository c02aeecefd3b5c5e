import ChannelLayers
import Consumers
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
    var event = try item.event(mayBeWhole: sender.maySendEvents)
    event.fields += sender.stamp(on: event)
    event = event.addressed(to: try Self.recipients(item))
    switch event.recipients.fault {
    case nil: break
    case .tooMany?: throw Self.tooManyAddresses(in: item)
    case .unreadable?:
      throw PublishRefusal(
        malformed:
          "\"\(Event.userMark)\" and \"\(Event.exceptMark)\" in \(item.what) must be texts or whole numbers"
      )
    }
    if try item.isTrue("ephemeral") { event.fields.append(.init(Event.ephemeralMark, .json(.bool(true)))) }
    guard events.count + groups.count <= Self.mostEvents else {
      throw PublishRefusal(
        .publishTooLarge,
        "a request can publish at most \(Self.mostEvents) events; an event to several groups counts once for each"
      )
    }
    for group in groups {
      try Self.check(group: group, mayName)
      events.append(GroupEvent(event, to: group))
    }
  }

  /// - Parameter mayName: whether the route allows the group.
  static func check(group: String, _ mayName: (String) -> Bool) throws(PublishRefusal) {
    guard GroupName.isOpen(group) else {
      throw PublishRefusal(
        malformed:
          "\"\(RequestObject.shown(group))\" is not a valid group name: 1 to 99 of A-Z a-z 0-9 . _ -, not beginning with \"sluice.\""
      )
    }
    guard mayName(group) else {
      throw PublishRefusal(.publishNotAllowed, "this route may not publish to the group \"\(group)\"")
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
    return addresses
  }

  private static func tooManyAddresses(in item: RequestObject) -> PublishRefusal {
    PublishRefusal(
      malformed: "\"except\" in \(item.what) has more than \(EventRecipients.mostAddresses) addresses")
  }

  /// Bytes.
  private static let longestAddress = 255

  private static let names = ["group", "groups", "ephemeral", "except", "to"] + RequestObject.eventContents
  private static let namesOfBatch = ["idempotency_key", "batch"]
  private static let namesOfOne = namesOfBatch + names
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
