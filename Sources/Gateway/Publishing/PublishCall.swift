import ChannelLayers
import Consumers
import GatewayConfig
import JSON
import Routing
import Sessions
import Transport
import WebSocketCore

/// One request on a `publish` route, from its head to its answer. Confined to its reactor, and kept by the callbacks that it waits for.
///
/// Without `auth`, `history` and `presence` no task is started for it: on a memory layer, and for a group that no other reactor has
/// members of, it is answered where it was read, in the same turn.
final class PublishCall {
  let endpoint: PublishEndpoint
  let exchange: HTTPExchange
  /// Those that let a page of another origin read the answer; nil if the page may not.
  private let crossOrigin: [HeaderField]?
  /// The authentication that it waits for.
  private var ticket: Int?
  private var place: Publisher.Place?
  /// Whether somebody waits for the answer.
  private(set) var isWanted = true

  /// A larger body is read by another thread: of this one a turn can read several. Bytes.
  private static let largestBodyHere = 16 * 1024

  init(of exchange: HTTPExchange, at endpoint: PublishEndpoint) {
    self.endpoint = endpoint
    self.exchange = exchange
    crossOrigin = Self.crossOriginFields(of: exchange, endpoint.configuration.origins)
  }

  var worker: WorkerSessions { exchange.worker }
  var publisher: Publisher { endpoint.publisher }

  func begin() {
    attempt { () throws(PublishRefusal) in
      if let known = exchange.known { return try goOn(as: nil, in: known.lane, to: .publish) }
      if exchange.request.method == "OPTIONS" { return try answerPreflight() }
      // Before anything of its body is read.
      switch try endpoint.access.client(of: exchange.request) {
      case .known(let lane): try goOn(as: nil, in: lane)
      case .unknown(let auth): ask(auth)
      }
    }
    guard isWanted else { return }
    exchange.abandoned = { [weak self] in self?.abandoned() }
  }

  /// Refuses the request with what the step throws.
  func attempt(_ step: () throws(PublishRefusal) -> Void) {
    do throws(PublishRefusal) {
      try step()
    } catch {
      guard isWanted else { return place = nil }
      endpoint.surroundings.httpRefusals.record(
        error.row, target: exchange.request.target, peer: exchange.client.peer, error.facts)
      answer(error.answer)
    }
  }

  func answer(_ answer: HTTPAnswer) {
    place = nil
    guard isWanted else { return }
    isWanted = false
    exchange.abandoned = nil
    guard let crossOrigin, !crossOrigin.isEmpty else { return exchange.answer(answer) }
    var answer = answer
    answer.fields += crossOrigin
    exchange.answer(answer)
  }

  /// The client has gone. What was begun is completed, because the client may repeat the request, and has to find its result.
  private func abandoned() {
    isWanted = false
    if let ticket { worker.forgetAuthentication(ticket) }
    ticket = nil
  }
}

// MARK: - Who asks, and for what

extension PublishCall {
  private func ask(_ auth: RouteAuthenticator) {
    let request = exchange.request
    let credentials = Credentials(
      inFields: request.fields, query: exchange.path.query, host: request.host, client: exchange.client,
      request: RequestPlace(
        method: request.method, target: request.target, captures: exchange.match.captures))
    ticket = worker.authenticate(by: { await auth.authenticate(credentials) }) { [self] outcome in
      ticket = nil
      attempt { () throws(PublishRefusal) in try goOn(as: try PublishAccess.identity(outcome), in: .user) }
    }
  }

  /// - Parameter operation: nil where it has to be found.
  private func goOn(
    as identity: Identity?, in lane: PublishLane, to operation: PublishConfiguration.Operation? = nil
  ) throws(PublishRefusal) {
    let caller = PublishEndpoint.Caller(identity: identity, captures: exchange.match.captures, lane: lane)
    let operation =
      if let operation { operation } else {
        try endpoint.operation(at: exchange.path, exchange.match, by: exchange.request.method)
      }
    try endpoint.checkOrders(about: caller)
    let share = publisher.share(of: lane)
    switch operation {
    case .publish, .events, .join, .leave: break
    case .disconnect, .mute:
      guard exchange.request.method == "POST" else { return try carryOut(operation, caller, share, []) }
    case .groups, .presence, .history: return try carryOut(operation, caller, share, [])
    }
    readBody(share) { [self] body throws(PublishRefusal) in try carryOut(operation, caller, share, body) }
  }

  private func readBody(
    _ share: MemoryShare, _ completed: @escaping ([UInt8]) throws(PublishRefusal) -> Void
  ) {
    let limit = endpoint.configuration.body
    exchange.readBody(atMost: limit.bytes, growing: share) { [self] result in
      attempt { () throws(PublishRefusal) in
        switch result {
        case .success(let body): try completed(body)
        case .failure(.missing): throw PublishRefusal(malformed: "the request has no body")
        case .failure(.tooLarge):
          throw PublishRefusal(.publishTooLarge, "the body is larger than \(limit)")
        case .failure(.noMemory): throw .busy("there is no memory for more request bodies")
        case .failure(.late): throw PublishRefusal(.publishBodyLate)
        }
      }
    }
  }

  private func carryOut(
    _ operation: PublishConfiguration.Operation, _ caller: PublishEndpoint.Caller, _ share: MemoryShare,
    _ body: [UInt8]
  ) throws(PublishRefusal) {
    place = publisher.enter(caller.lane, holding: share)
    guard place != nil else { throw .busy("too many requests are under way") }
    switch operation {
    case .publish, .events: try publish(body, caller)
    case .groups: try listGroups(caller)
    case .disconnect: try order(.disconnect, lifting: .admit, .disconnect, body, caller)
    case .mute: try order(.mute, lifting: .unmute, .mute, body, caller)
    case .join: try order(.join, body, caller)
    case .leave: try order(.leave, body, caller)
    case .presence: try listPresent(caller)
    case .history: try listHistory(caller, share)
    }
  }

  /// Gives an order that may hold for a time, lists those that do, or lifts one.
  private func order(
    _ kind: ControlOrder.Kind, lifting: ControlOrder.Kind, _ standing: StandingOrder.Kind, _ body: [UInt8],
    _ caller: PublishEndpoint.Caller
  ) throws(PublishRefusal) {
    switch exchange.request.method {
    case "DELETE": try lift(lifting, caller)
    case "POST": try order(kind, body, caller)
    default: try listOrders(standing)
    }
  }

  /// Reads what a body asks for: here, or on another thread.
  func read<Order: Sendable>(
    _ body: [UInt8], _ reading: @escaping @Sendable ([UInt8]) throws(PublishRefusal) -> Order,
    _ completed: @escaping (Order) -> Void
  ) throws(PublishRefusal) {
    guard body.count > Self.largestBodyHere else { return completed(try reading(body)) }
    worker.offload {
      Result { () throws(PublishRefusal) in try reading(body) }
    } _: { [self] order in
      guard isWanted else { return place = nil }
      attempt { () throws(PublishRefusal) in completed(try order.get()) }
    }
  }

  func checkType() throws(PublishRefusal) {
    try Self.checkType(of: exchange.request)
  }

  static func checkType(of request: RequestHead) throws(PublishRefusal) {
    let type = request.combined("content-type")
    // Only a type that pages of other sites cannot send without a preflight request.
    guard type == "application/json" || type.map(essence) == "application/json" else {
      throw PublishRefusal(.publishMediaType, "send Content-Type: application/json")
    }
    // RFC 9110 section 15.5.16: the answer names the supported codings.
    guard request.fields.has("content-encoding") else { return }
    let encodings = request.values(of: "content-encoding").filter { $0.lowercased() != "identity" }
    guard encodings.isEmpty else {
      throw PublishRefusal(
        .publishMediaType,
        "Content-Encoding \"\(RequestObject.shown(encodings[0]))\" is not supported: send the body as it is",
        fields: [HeaderField(name: "Accept-Encoding", value: "identity")])
    }
  }

  /// A media type without its parameters.
  private static func essence(of type: String) -> String {
    type.prefix { $0 != ";" }.lowercased().filter { $0 != " " }
  }
}

// MARK: - Publishing

extension PublishCall {
  private func publish(_ body: [UInt8], _ caller: PublishEndpoint.Caller) throws(PublishRefusal) {
    guard endpoint.configuration.wire == .json else { return try publishGrip(body, caller) }
    if exchange.known == nil { try checkType() }
    let keyFields = exchange.known?.keyFields ?? exchange.request.values(of: "idempotency-key")
    // Here without closures, since most bodies are small.
    guard body.count > Self.largestBodyHere else {
      return try carryOut(try endpoint.checkedOrder(body, keyFields: keyFields, from: caller), caller)
    }
    try read(body) { [endpoint] body throws(PublishRefusal) in
      try endpoint.checkedOrder(body, keyFields: keyFields, from: caller)
    } _: { [self] order in
      attempt { () throws(PublishRefusal) in try carryOut(order, caller) }
    }
  }

  private func carryOut(
    _ order: PublishEndpoint.Order, _ caller: PublishEndpoint.Caller
  ) throws(PublishRefusal) {
    func retryAfter() -> Int? { endpoint.retryAfter(order.request.events, from: caller) }
    func tooFast(_ seconds: Int) -> PublishRefusal {
      PublishRefusal(
        .publishTooFast(retryAfter: seconds), facts: caller.countedUser.map { ["user": $0] } ?? [:])
    }
    guard let (key, digest) = order.key else {
      if let seconds = retryAfter() { throw tooFast(seconds) }
      return publish(order) { [self] in answer(HTTPAnswer($0.answer)) }
    }
    let state = publisher.answers.register(
      key, digest, retryAfter: retryAfter,
      waiting: worker.reply { [self] (given: IdempotencyTable.Answer?) in
        if let given { answer(HTTPAnswer(given, isRepeated: true)) }
      })
    switch state {
    case .answered(let given): answer(HTTPAnswer(given, isRepeated: true))
    case .taken: throw PublishRefusal(.publishKeyTaken)
    case .tooFast(let seconds): throw tooFast(seconds)
    case .underWay: break
    case .new:
      publish(order) { [self] in
        publisher.answers.complete(key, $0.answer, isFinal: $0.isFinal)
        answer(HTTPAnswer($0.answer))
      }
    }
  }

  /// - Parameter completed: called with the answer, and whether something may have been done.
  private func publish(
    _ order: PublishEndpoint.Order,
    _ completed: @escaping ((answer: IdempotencyTable.Answer, isFinal: Bool)) -> Void
  ) {
    let events = order.request.events
    publisher.publish(events, on: endpoint.layer, from: worker) { [endpoint] outcomes in
      completed(endpoint.answer(to: events, outcomes))
    }
  }
}

// MARK: - Pages of other origins

extension PublishCall {
  /// The Fetch standard, section 3.2.
  ///
  /// - Returns: nil if the page's origin may not use the route. Its browser then hides the answer from it.
  private static func crossOriginFields(of exchange: HTTPExchange, _ policy: OriginPolicy) -> [HeaderField]? {
    guard exchange.request.fields.has("origin") else { return [] }
    let fields = try? policy.crossOrigin(
      exchange.request.values(of: "origin"), host: exchange.request.host, client: exchange.client
    ).get()
    guard let fields, !fields.isEmpty else { return fields }
    let exposed = "Retry-After, Idempotent-Replayed"
    return fields + [HeaderField(name: "Access-Control-Expose-Headers", value: exposed)]
  }

  /// Answers the request with which a browser asks whether a page of another origin may send a token, or JSON.
  private func answerPreflight() throws(PublishRefusal) {
    let operation = try endpoint.operation(at: exchange.path, exchange.match)
    let methods = PublishEndpoint.methods(of: operation).joined(separator: ", ")
    guard crossOrigin != nil else {
      throw PublishRefusal(
        .publishNotAllowed, "pages of this origin may not use the route: it is not in \"allowed_hosts\"",
        facts: OriginPolicy.facts(
          origin: exchange.request.combined("origin"), host: exchange.client.host(exchange.request.host)))
    }
    answer(
      HTTPAnswer(
        status: 204,
        fields: [
          HeaderField(name: "Allow", value: methods + ", OPTIONS"),
          HeaderField(name: "Access-Control-Allow-Methods", value: methods),
          HeaderField(
            name: "Access-Control-Allow-Headers", value: "Authorization, Content-Type, Idempotency-Key"),
          HeaderField(name: "Access-Control-Max-Age", value: "600"),
        ]))
  }
}

extension RequestHead {
  /// Empty without the field.
  fileprivate var host: String { firstValue(of: "host") ?? "" }

  /// The value of a field; several are one list (RFC 9110 section 5.2). Nil without the field.
  fileprivate func combined(_ name: String) -> String? {
    if let value = fields.onlyValue(of: name) { return value }
    return fields.has(name) ? values(of: name).joined(separator: ", ") : nil
  }
}
