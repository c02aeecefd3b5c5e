import Bytes
import ChannelLayers
import Consumers
import Crypto
import GatewayConfig
import JSON
import Routing
import Sessions
import Transport
import WebSocketCore

/// Answers requests on a `publish` route, and on the paths below it.
final class PublishEndpoint: Sendable {
  let configuration: PublishConfiguration
  let access: PublishAccess
  let route: String
  /// Keeps the layer at work while requests are answered.
  private let lease: LayerLease
  let application: GatewayConfig.ApplicationConfiguration
  let surroundings: ServedApplication.Surroundings
  private let knownTypes: KnownTypes
  /// Who may read histories.
  let readers: HistoryReaders
  /// Of lines about what `protocol: grip` passes over.
  let passedOverPace = SharedLogPace(most: 1)

  /// - Parameter routes: that deliver what is published.
  init(
    _ configuration: PublishConfiguration, auth: RouteAuthenticator?, route: String,
    of routes: ServedRoutes, in surroundings: ServedApplication.Surroundings
  ) {
    let application = routes.application
    self.configuration = configuration
    self.route = route
    self.application = application
    self.surroundings = surroundings
    access = PublishAccess(configuration, auth)
    guard let lease = routes.layers.lease(configuration.layer) else {
      preconditionFailure("the loader has checked that the layer of each route exists")
    }
    self.lease = lease
    let groups = application.groups.filter { $0.layer == configuration.layer }
    knownTypes = KnownTypes(groups)
    readers = HistoryReaders(groups)
  }

  var layer: any LayerBackend { lease.layer }
  var publisher: Publisher { surroundings.publisher }

  /// The client of a request, once it is known.
  struct Caller: Sendable {
    var identity: Identity?
    var captures: Captures
    var lane: PublishLane

    /// The user whose messages are counted; nil for a program with a token, and without a name.
    var countedUser: String? { lane == .user ? identity?.user : nil }
  }

  /// Answers the request, on its reactor.
  func respond(to exchange: HTTPExchange) {
    PublishCall(of: exchange, at: self).begin()
  }

  func mayName(_ group: String, _ caller: Caller) -> Bool {
    configuration.groups.contains {
      $0.matchesAny(group, captures: caller.captures) { caller.identity?.values(of: $0) }
    }
  }
}

// MARK: - What is asked for

extension PublishEndpoint {
  /// What a path below that of the route stands for.
  func operation(
    at path: RequestPath, _ match: RouteMatch
  ) throws(PublishRefusal) -> PublishConfiguration.Operation {
    // The path of the route itself.
    guard var name = match.remainder?[...], !name.isEmpty else { return .publish }
    let outer = path.text.dropLast(name.count)
    let isBelow = name.hasPrefix("/") || outer.isEmpty || outer.hasSuffix("/")
    if name.hasPrefix("/") { name = name.dropFirst() }
    if name.hasSuffix("/") { name = name.dropLast() }
    let operation = PublishConfiguration.Operation.allCases.first { $0.pathBelow == String(name) }
    guard let operation, isBelow || name.isEmpty else {
      throw PublishRefusal(.publishNothingThere, "there is nothing at this path")
    }
    return operation
  }

  static func methods(of operation: PublishConfiguration.Operation) -> [String] {
    switch operation {
    case .publish, .events, .join, .leave: ["POST"]
    case .disconnect, .mute: ["POST", "GET", "HEAD", "DELETE"]
    case .groups, .presence, .history: ["GET", "HEAD"]
    }
  }

  /// The same for a request with this method.
  func operation(
    at path: RequestPath, _ match: RouteMatch, by method: String
  ) throws(PublishRefusal) -> PublishConfiguration.Operation {
    let operation = try operation(at: path, match)
    let methods = Self.methods(of: operation)
    guard methods.contains(method) else {
      throw PublishRefusal(
        .publishMethod, "use \(methods[0])",
        fields: [HeaderField(name: "Allow", value: methods.joined(separator: ", "))])
    }
    guard configuration.operations.contains(operation) else {
      throw PublishRefusal(
        .publishNotAllowed, "this route does not allow \"\(operation.rawValue)\": it is not in its \"allow\"")
    }
    return operation
  }
}

// MARK: - Publishing

extension PublishEndpoint {
  /// What a body asks to publish.
  struct Order: Sendable {
    var request: PublishRequest
    /// The idempotency key, and the digest of the body; nil without a key.
    var key: (key: IdempotencyTable.Key, digest: [UInt8])?
  }

  /// Reads and checks a body. On any thread.
  ///
  /// - Parameter keyFields: the values of the request's `Idempotency-Key` fields.
  func order(
    _ body: [UInt8], keyFields: [String], from caller: Caller
  ) throws(PublishRefusal) -> Order {
    let sender =
      switch caller.lane {
      // An anonymous route is open on purpose, and has no users whose names could be misused.
      case .token, .anonymous: PublishSender.backEnd
      case .user:
        PublishSender(user: caller.identity?.user, maySendEvents: configuration.operations.contains(.events))
      }
    let request = try PublishRequest(body, from: sender) { mayName($0, caller) }
    guard let text = try Self.key(of: request, keyFields) else { return Order(request: request) }
    let key = IdempotencyTable.Key(route: route, user: caller.identity?.user, text: text)
    return Order(request: request, key: (key, Array(SHA256.hash(data: body))))
  }

  /// The same, of a client whom no order keeps from publishing it, and who does not publish more at once than is ever allowed.
  func checkedOrder(
    _ body: [UInt8], keyFields: [String], from caller: Caller
  ) throws(PublishRefusal) -> Order {
    let order = try order(body, keyFields: keyFields, from: caller)
    try checkOrders(about: caller, in: order.request.events)
    if let user = caller.countedUser, let most = surroundings.process.users?.mostMessages,
      order.request.events.count > most
    {
      throw PublishRefusal(.publishTooManyAtOnce(most: most), facts: ["user": user])
    }
    return order
  }

  /// Counts what a user publishes like the messages of its sessions.
  ///
  /// - Returns: after how many seconds it may be published; nil if it may be now.
  func retryAfter(_ events: [GroupEvent], from caller: Caller) -> Int? {
    caller.countedUser.flatMap { surroundings.process.users?.retryAfter(messages: events.count, of: $0) }
  }

  /// `idempotency_key`, or the field `Idempotency-Key`, whose value may be in quotes.
  private static func key(of request: PublishRequest, _ fields: [String]) throws(PublishRefusal) -> String? {
    guard let field = fields.first else { return request.idempotencyKey }
    guard fields.count == 1 else {
      throw PublishRefusal(malformed: "the request has more than one Idempotency-Key header")
    }
    let isQuoted = field.count >= 2 && field.hasPrefix("\"") && field.hasSuffix("\"")
    let key = isQuoted ? String(field.dropFirst().dropLast()) : field
    try PublishRequest.check(key: key)
    guard request.idempotencyKey == nil || request.idempotencyKey == key else {
      throw PublishRefusal(malformed: "\"idempotency_key\" and the header Idempotency-Key differ")
    }
    return key
  }

  /// `{"published": [{"group": "...", "sessions": 3, "id": null}, ...]}`, with `error`, `unknown_type` and `nearest_type` where there
  /// is something to say.
  ///
  /// - Returns: the answer, and whether something may have been done.
  func answer(
    to events: [GroupEvent], _ outcomes: [Publisher.Outcome]
  ) -> (answer: IdempotencyTable.Answer, isFinal: Bool) {
    var text: [UInt8] = []
    text.reserveCapacity(16 + outcomes.count * 64)
    text.append(text: #"{"published":["#)
    for (place, outcome) in outcomes.enumerated() {
      if place > 0 { text.append(UInt8(ascii: ",")) }
      append(outcome, of: place < KnownTypes.most ? events[place].event : nil, to: &text)
    }
    text.append(text: "]}\n")
    let mayBeSent = outcomes.contains { $0.published.undelivered?.mayHaveBeenSent ?? true }
    guard !mayBeSent else { return (.init(status: 200, body: text), true) }
    let isOurs = outcomes.contains { $0.published.undelivered != .notSerializable }
    return (.init(status: isOurs ? 503 : 422, body: text), false)
  }

  /// - Parameter event: nil if its type is not looked up.
  private func append(_ outcome: Publisher.Outcome, of event: Event?, to text: inout [UInt8]) {
    text.append(text: #"{"group":"#)
    JSONText.append(string: outcome.group, to: &text)
    text.append(text: #","sessions":"#)
    text.append(text: String(outcome.sessions))
    text.append(text: #","id":"#)
    Self.append(outcome.published.position?.description, to: &text)
    if let reason = outcome.published.undelivered {
      text.append(contentsOf: #","error":"#.utf8)
      JSONText.append(string: reason.rawValue, to: &text)
    }
    if let event, let unknown = knownTypes.unknown(event, to: outcome.group) {
      text.append(contentsOf: #","unknown_type":"#.utf8)
      JSONText.append(string: unknown.type, to: &text)
      if let nearest = unknown.nearest {
        text.append(contentsOf: #","nearest_type":"#.utf8)
        JSONText.append(string: nearest, to: &text)
      }
    }
    text.append(UInt8(ascii: "}"))
  }

  private static func append(_ value: String?, to text: inout [UInt8]) {
    guard let value else { return text.append(text: "null") }
    JSONText.append(string: value, to: &text)
  }
}

extension Undelivered {
  /// Whether some receivers may have got the event all the same, so that a repetition might deliver it twice.
  var mayHaveBeenSent: Bool {
    switch self {
    case .partly, .full, .unconfirmed: true
    case .unavailable, .backlog, .notSerializable: false
    }
  }
}

extension HTTPAnswer {
  init(_ answer: IdempotencyTable.Answer, isRepeated: Bool = false) {
    var fields: [HeaderField] = []
    if answer.status == 503 { fields.append(HeaderField(name: "Retry-After", value: "1")) }
    if isRepeated { fields.append(HeaderField(name: "Idempotent-Replayed", value: "true")) }
    self = .json(answer.status, text: answer.body, fields: fields)
  }
}
