import ChannelLayers
import Consumers
import Crypto
import GatewayConfig
import HTTPTypes
import Hummingbird
import JSON
import NIOCore
import Routing
import Sessions
import Transport
import WebSocketCore

/// Answers requests on a `publish` route, and on the paths below it.
final class PublishEndpoint: Sendable {
  let configuration: PublishConfiguration
  private let access: PublishAccess
  private let route: String
  let layer: any LayerBackend
  let application: GatewayConfig.ApplicationConfiguration
  let surroundings: ServedApplication.Surroundings
  private let knownTypes: KnownTypes

  /// - Parameter application: whose routes deliver what is published.
  init(
    _ configuration: PublishConfiguration, auth: RouteAuthenticator?, route: String,
    of application: GatewayConfig.ApplicationConfiguration, in surroundings: ServedApplication.Surroundings
  ) {
    self.configuration = configuration
    self.route = route
    self.application = application
    self.surroundings = surroundings
    access = PublishAccess(configuration, auth)
    guard let layer = surroundings.process.layers[configuration.layer] else {
      preconditionFailure("the loader has checked that the layer of each route exists")
    }
    self.layer = layer
    knownTypes = KnownTypes(application.groups.filter { $0.layer == configuration.layer })
  }

  var publisher: Publisher { surroundings.publisher }

  /// The client of a request, and its operation.
  struct Caller {
    var identity: Identity?
    var captures: Captures
    var lane: PublishLane
  }

  /// - Throws: where the client has gone, or sends what is no HTTP.
  func respond(
    to request: Request, _ upload: Upload?, match: RouteMatch, path: RequestPath, from client: Client
  ) async throws -> Response {
    // A page that may not use the route gets no CORS fields, so that its browser hides the answer from it.
    let crossOrigin = crossOriginFields(of: request, from: client)
    var response: Response
    do {
      response =
        request.method == .options
        ? try answerPreflight(request, match, path, from: client, isAllowed: crossOrigin != nil)
        : try await carryOut(request, upload, match: match, path: path, from: client)
    } catch let refusal as PublishRefusal {
      surroundings.httpRefusals.record(
        refusal.row, target: request.head.path.map { Array($0.utf8) }, peer: client.peer, refusal.facts)
      response = refusal.response
    }
    response.headers.append(contentsOf: HTTPFields(crossOrigin ?? []))
    return response
  }

  private func carryOut(
    _ request: Request, _ upload: Upload?, match: RouteMatch, path: RequestPath, from client: Client
  ) async throws -> Response {
    // Before anything of its body is read.
    let (identity, lane) = try await access.check(request, query: path.query, from: client)
    let caller = Caller(identity: identity, captures: match.captures, lane: lane)
    let operation = try operation(match, path, request.method)
    let share = publisher.share(of: lane)
    let body =
      switch operation {
      case .publish, .events, .disconnect: try await body(upload, share)
      case .groups, .presence, .history: [UInt8]()
      }
    guard let place = publisher.enter(lane, holding: share) else {
      throw Self.busy("too many requests are under way")
    }
    defer { withExtendedLifetime(place) {} }
    switch operation {
    case .publish, .events: return try await publish(body, request, caller, place)
    case .groups: return try await listGroups(request, caller)
    case .disconnect: return try await disconnect(body, request)
    case .presence: return try await listPresent(request, caller)
    case .history: return try await listHistory(request, caller, share)
    }
  }

  // MARK: - Pages of other origins

  /// The Fetch standard, section 3.2.
  ///
  /// - Returns: nil if the page's origin may not use the route.
  private func crossOriginFields(of request: Request, from client: Client) -> [HeaderField]? {
    let fields = try? configuration.origins.crossOrigin(
      request.headers[values: .origin], host: request.head.authority ?? "", client: client
    ).get()
    guard let fields, !fields.isEmpty else { return fields }
    let exposed = "Retry-After, Idempotent-Replayed"
    return fields + [HeaderField(name: "Access-Control-Expose-Headers", value: exposed)]
  }

  /// The request with which a browser asks whether a page of another origin may send a token, or JSON.
  private func answerPreflight(
    _ request: Request, _ match: RouteMatch, _ path: RequestPath, from client: Client, isAllowed: Bool
  ) throws(PublishRefusal) -> Response {
    let methods = Self.methods(of: try operation(at: path, match)).map(\.rawValue).joined(separator: ", ")
    guard isAllowed else {
      throw PublishRefusal(
        .publishNotAllowed, "pages of this origin may not use the route: it is not in \"allowed_hosts\"",
        facts: OriginPolicy.facts(
          origin: request.headers[.origin], host: client.host(request.head.authority ?? "")))
    }
    return Response(
      .options(
        allow: methods + ", OPTIONS", methods: methods, fields: "Authorization, Content-Type, Idempotency-Key"
      ))
  }

  // MARK: - What is asked for

  private func operation(
    at path: RequestPath, _ match: RouteMatch
  ) throws(PublishRefusal) -> PublishConfiguration.Operation {
    var name = (match.remainder ?? "")[...]
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

  private static func methods(of operation: PublishConfiguration.Operation) -> [HTTPRequest.Method] {
    switch operation {
    case .publish, .events, .disconnect: [.post]
    case .groups, .presence, .history: [.get, .head]
    }
  }

  private func operation(
    _ match: RouteMatch, _ path: RequestPath, _ method: HTTPRequest.Method
  ) throws(PublishRefusal) -> PublishConfiguration.Operation {
    let operation = try operation(at: path, match)
    let methods = Self.methods(of: operation)
    guard methods.contains(method) else {
      let names = methods.map(\.rawValue).joined(separator: ", ")
      throw PublishRefusal(
        .publishMethod, "use \(methods[0].rawValue)", fields: [HeaderField(name: "Allow", value: names)])
    }
    guard configuration.operations.contains(operation) else {
      throw PublishRefusal(
        .publishNotAllowed, "this route does not allow \"\(operation.rawValue)\": it is not in its \"allow\"")
    }
    return operation
  }

  func mayName(_ group: String, _ caller: Caller) -> Bool {
    configuration.groups.contains {
      $0.matches(group, captures: caller.captures) { caller.identity?.value(of: $0) }
    }
  }

  static func busy(_ message: String) -> PublishRefusal {
    PublishRefusal(.publishBusy, message)
  }

  // MARK: - Bodies

  /// Reads the body, within the time for a request head.
  ///
  /// - Parameter share: grows with the received bytes, and not with the announced length, which costs a client nothing.
  private func body(_ upload: Upload?, _ share: MemoryShare) async throws -> [UInt8] {
    guard let upload else { throw PublishRefusal(malformed: "the request has no body") }
    let limit = configuration.body
    let tooLarge = PublishRefusal(.publishTooLarge, "the body is larger than \(limit)")
    if let length = upload.length, length > limit.bytes { throw tooLarge }
    let received: [UInt8]? = try await within(surroundings.process.server.handshake) {
      var bytes: [UInt8] = []
      do {
        for try await part in upload {
          let count = bytes.count + part.readableBytes
          guard count <= limit.bytes else { throw tooLarge }
          if count > bytes.capacity {
            let capacity = min(max(count, 2 * bytes.capacity, Self.smallestBody), limit.bytes)
            guard share.resize(to: capacity) else {
              throw Self.busy("there is no memory for more request bodies")
            }
            bytes.reserveCapacity(capacity)
          }
          bytes.append(contentsOf: part.readableBytesView)
        }
      } catch {
        throw upload.fault ?? error
      }
      try Task.checkCancellation()
      return bytes
    }
    guard let received else { throw PublishRefusal(.publishBodyLate) }
    return received
  }

  /// The memory that is reserved for the first part of a body. Bytes.
  private static let smallestBody = 1024

  private func checkType(of request: Request) throws(PublishRefusal) {
    let type = request.headers[.contentType]?.prefix { $0 != ";" }.lowercased()
    // Only a type that pages of other sites cannot send without a preflight request.
    guard type.map({ $0.filter { $0 != " " } }) == "application/json" else {
      throw PublishRefusal(.publishMediaType, "send Content-Type: application/json")
    }
    // RFC 9110 section 15.5.16: the answer names the supported codings.
    let encodings = request.headers[values: .contentEncoding].filter { $0.lowercased() != "identity" }
    guard encodings.isEmpty else {
      throw PublishRefusal(
        .publishMediaType,
        "Content-Encoding \"\(RequestObject.shown(encodings[0]))\" is not supported: send the body as it is",
        fields: [HeaderField(name: "Accept-Encoding", value: "identity")])
    }
  }

  // MARK: - Publishing

  private func publish(
    _ body: [UInt8], _ request: Request, _ caller: Caller, _ place: Publisher.Place
  ) async throws -> Response {
    try checkType(of: request)
    let sender =
      switch caller.lane {
      // An anonymous route is open on purpose, and has no users whose names could be misused.
      case .token, .anonymous: PublishSender.backEnd
      case .user:
        PublishSender(user: caller.identity?.user, maySendEvents: configuration.operations.contains(.events))
      }
    let wanted = try PublishRequest(body, from: sender) { mayName($0, caller) }
    guard let text = try key(of: wanted, request) else {
      return Response(await answer(to: wanted).answer)
    }
    let key = IdempotencyTable.Key(route: route, user: caller.identity?.user, text: text)
    switch publisher.answers.register(key, Array(SHA256.hash(data: body))) {
    case .answered(let answer): return Response(answer, isRepeated: true)
    case .taken: throw PublishRefusal(.publishKeyTaken)
    case .underWay(let answers):
      for await answer in answers { return Response(answer, isRepeated: true) }
    case .new(let answers):
      // Also if the client hangs up, because it may repeat the request, and has to find the result of this one.
      publisher.carryOut(in: place) { [self] in
        let (answer, isFinal) = await answer(to: wanted)
        publisher.answers.complete(key, answer, isFinal: isFinal)
      }
      for await answer in answers { return Response(answer) }
    }
    throw CancellationError()
  }

  /// `idempotency_key`, or the field `Idempotency-Key`, whose value may be in quotes.
  private func key(of wanted: PublishRequest, _ request: Request) throws(PublishRefusal) -> String? {
    let fields = request.headers.filter { $0.name.canonicalName == "idempotency-key" }.map(\.value)
    guard let field = fields.first else { return wanted.idempotencyKey }
    guard fields.count == 1 else {
      throw PublishRefusal(malformed: "the request has more than one Idempotency-Key header")
    }
    let isQuoted = field.count >= 2 && field.hasPrefix("\"") && field.hasSuffix("\"")
    let key = isQuoted ? String(field.dropFirst().dropLast()) : field
    try PublishRequest.check(key: key)
    guard wanted.idempotencyKey == nil || wanted.idempotencyKey == key else {
      throw PublishRefusal(malformed: "\"idempotency_key\" and the header Idempotency-Key differ")
    }
    return key
  }

  /// - Returns: the answer, and whether something may have been done.
  private func answer(to wanted: PublishRequest) async -> (answer: IdempotencyTable.Answer, isFinal: Bool) {
    let outcomes = await publisher.publish(wanted.events, on: layer)
    let lines = outcomes.enumerated().map { place, outcome in
      var line: JSON = [
        "group": .string(outcome.group), "sessions": .number(outcome.sessions),
        "id": outcome.published.position.map { .string($0.description) } ?? .null,
      ]
      if let reason = outcome.published.undelivered {
        line = line.with(["error": .string(reason.rawValue)])
      }
      if place < KnownTypes.most,
        let unknown = knownTypes.unknown(wanted.events[place].event, to: outcome.group)
      {
        line = line.with(["unknown_type": .string(unknown.type)])
        if let nearest = unknown.nearest { line = line.with(["nearest_type": .string(nearest)]) }
      }
      return line
    }
    let published: JSON = ["published": .array(lines)]
    let text = published.bytes + "\n".utf8
    let failures = outcomes.compactMap(\.published.undelivered).filter { !$0.mayHaveBeenSent }
    guard failures.count == outcomes.count else { return (.init(status: 200, body: text), true) }
    let isOurs = failures.contains { $0 != .notSerializable }
    return (.init(status: isOurs ? 503 : 422, body: text), false)
  }

  // MARK: - Users

  /// `{"user": "5", "reason": "..."}`
  private func disconnect(_ body: [UInt8], _ request: Request) async throws -> Response {
    try checkType(of: request)
    let order = try DisconnectOrder(body: body)
    let sessions = await publisher.disconnect(order)
    let answer: JSON = ["user": .string(order.user), "sessions": .number(sessions)]
    // Repeating the request does no harm, so the client may be asked to.
    if let reason = await publisher.tell(order.event, on: surroundings.layers.shared) {
      let what = "other processes may not have been told: \(reason.rawValue)"
      return .json(.serviceUnavailable, answer.with(["error": .string(what)]), fields: [.retryAfter: "1"])
    }
    return .json(.ok, answer)
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

extension Response {
  init(_ answer: IdempotencyTable.Answer, isRepeated: Bool = false) {
    var fields: HTTPFields = [:]
    if answer.status == 503 { fields[.retryAfter] = "1" }
    if isRepeated, let name = HTTPField.Name("Idempotent-Replayed") { fields[name] = "true" }
    self = .json(.init(code: answer.status), text: answer.body, fields: fields)
  }
}

extension DisconnectOrder {
  init(body: [UInt8]) throws(PublishRefusal) {
    var request = try RequestObject(body, what: "the request")
    let user = request.value("user")
    let reason = try request.string("reason")
    // A misspelt member is named, and not taken for a missing one.
    try request.finish()
    guard let user else { throw PublishRefusal(malformed: "the request needs a \"user\"") }
    switch request.json(user) {
    case .string(let text) where !text.isEmpty: self.user = text
    case .integer(let number): self.user = String(number)
    default: throw PublishRefusal(malformed: "\"user\" in the request must be a string or a whole number")
    }
    if let reason {
      guard reason.utf8.count <= Self.longestReason else {
        throw PublishRefusal(malformed: "a reason can have at most \(Self.longestReason) bytes")
      }
      self.reason = reason
    }
  }
}
