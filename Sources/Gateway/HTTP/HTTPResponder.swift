import Bytes
import GatewayConfig
import HTTPTypes
import Hummingbird
import NIOCore
import Routing
import Sessions

/// Answers one HTTP request with the served application's HTTP routes.
struct HTTPResponder: Sendable {
  private let gateway: GatewayState
  /// By route; nil if the route does not serve files.
  private let files: [StaticFiles?]
  /// By route; nil if the route has no upstream.
  private let proxies: [ReverseProxy?]
  /// By route; nil if the route is not a publish route.
  private let publishing: [PublishEndpoint?]

  /// - Parameter group: the event loops for connections to upstreams.
  init(gateway: GatewayState, publisher: Publisher, on group: any EventLoopGroup) {
    self.gateway = gateway
    let answers = IdempotencyTable()
    let routes = gateway.served.application.httpRoutes
    publishing = routes.enumerated().map { index, route in
      guard case .publish(let publish) = route.action else { return nil }
      return PublishEndpoint(
        publish, auth: route.auth, route: index, gateway: gateway, publisher: publisher, answers: answers)
    }
    proxies = routes.map { route in
      guard case .proxy(let upstream) = route.action else { return nil }
      return ReverseProxy(
        upstream, on: group, failures: gateway.process.upstreamFailures, memory: gateway.process.sendMemory,
        route: route.name)
    }
    files = routes.map { route in
      guard case .staticFiles(let directory, let fallback) = route.action else { return nil }
      return StaticFiles(
        directory: directory, fallback: fallback, memory: gateway.process.sendMemory.budget,
        log: gateway.log)
    }
  }

  private var application: GatewayConfig.ApplicationConfiguration { gateway.served.application }

  /// A request, and who has sent it, as far as a refusal has to tell of them.
  private struct Asked {
    var request: Request
    var client: Client
  }

  /// What a route made of the request; a static route may leave it to what else matches the path.
  enum Answer {
    case response(Response)
    case nothingThere
  }

  /// Lets go of the connections to upstreams.
  func shutDown() async throws {
    for proxy in proxies { try await proxy?.shutDown() }
  }

  /// - Parameter upload: the body of the request; nil where it has none.
  /// - Throws: where there is nobody or nothing to answer.
  func respond(
    to request: Request, _ upload: Upload?, from client: Client, on channel: any Channel
  ) async throws -> Response {
    let asked = Asked(request: request, client: client)
    // RFC 9110 section 9.3.6, and RFC 9112 section 3.2.4 for a request to the server as a whole.
    if request.method == .connect {
      return refuse(asked, .connect)
    }
    if request.head.path == "*" {
      return request.method == .options
        ? Response(status: .noContent) : refuse(asked, .notOptions)
    }
    let path: RequestPath
    switch RequestPath.decode(target: Array((request.head.path ?? "/").utf8)) {
    case .success(let decoded): path = decoded
    case .failure: return refuse(asked, .badPath)
    }
    guard let match = application.httpRouter.match(path) else {
      return nothing(at: path, asked)
    }
    switch try await answer(match, path: path, asked, upload, channel: channel) {
    case .response(let response): return response
    case .nothingThere: return nothing(at: path, asked)
    }
  }

  private func answer(
    _ match: RouteMatch, path: RequestPath, _ asked: Asked, _ upload: Upload?, channel: any Channel
  ) async throws -> Answer {
    let (request, client) = (asked.request, asked.client)
    switch application.httpRoutes[match.route].action {
    case .staticFiles:
      guard let files = files[match.route] else { return .nothingThere }
      let file = match.remainder ?? ""
      let answer = await files.respond(to: request, file: file, on: channel)
      guard case .nothingThere = answer else { return answer }
      let isWebSocket = application.webSocketRouter.match(path) != nil
      return await files.fallBack(on: request, file: file, besideWebSocket: isWebSocket, on: channel)
    case .respond(let fixed):
      return .response(Response(fixed))
    case .redirect(let target, let status):
      return .response(.redirect(to: target, captures: match.captures, query: path.query, status: status))
    case .proxy:
      guard let proxy = proxies[match.route] else { return .nothingThere }
      let isProtectedElsewhere = path.isReadElsewhere(by: application.httpRouter, than: match) {
        application.httpRoutes[$0].auth != nil
      }
      guard !isProtectedElsewhere else {
        return .response(refuse(asked, .mergedSlashes))
      }
      return .response(
        try await proxy.respond(to: request, upload, path: path, match, from: client, on: channel))
    case .publish:
      guard let endpoint = publishing[match.route] else { return .nothingThere }
      return .response(
        try await endpoint.respond(to: request, upload, match: match, path: path, from: client))
    case .health(let probe):
      return .response(health(probe))
    case .events:
      guard let route = gateway.served.eventRoutes[match.route] else { return .nothingThere }
      return .response(answer(asked, by: route))
    }
  }

  private func answer(_ asked: Asked, by route: EventRoute) -> Response {
    let origins = asked.request.headers[values: .origin]
    let host = asked.request.head.authority ?? ""
    let crossOrigin = route.crossOriginFields(origins: origins, host: host, client: asked.client)
    guard origins.count <= 1, let crossOrigin else {
      let facts = OriginPolicy.facts(origin: origins.first, host: asked.client.host(host))
      var refusal: Refusal =
        switch origins.count {
        case 0: .originMissing
        case 1: .originNotAllowed
        default: .severalOrigins
        }
      // Also for several origins: the page may not have the answer.
      refusal.status = 403
      return refuse(asked, refusal, facts)
    }
    return route.respond(to: asked.request, crossOrigin)
  }

  /// The answer in words, and a line in the log.
  private func refuse(
    _ asked: Asked, _ refusal: Refusal, _ facts: @autoclosure () -> [String: String] = [:]
  ) -> Response {
    let response = Response(refusal)
    gateway.httpRefusals.record(
      status: response.status.code, reason: refusal.text, target: asked.request.head.path,
      peer: asked.client.peer, facts())
    return response
  }

  private func health(_ probe: HealthProbe) -> Response {
    let (isGood, text) = gateway.process.health(probe)
    return .plain(isGood ? .ok : .serviceUnavailable, text)
  }

  /// A program that publishes is told what its URL lacks, in the form in which it reads the answers of the route.
  ///
  /// - Returns: nil if the path is none of a publish route with another end.
  private func missingSlash(at path: RequestPath, _ asked: Asked) -> Response? {
    guard let other = application.httpRouter.routeWithOtherSlash(path),
      case .publish = application.httpRoutes[other.route].action
    else { return nil }
    let advice =
      path.bytes.last == UInt8(ascii: "/") ? "remove the \"/\" at its end" : "add a \"/\" at its end"
    let refusal = PublishRefusal(.notFound, "there is nothing at this path: \(advice)")
    gateway.httpRefusals.record(
      status: refusal.statusCode, reason: refusal.message, target: asked.request.head.path,
      peer: asked.client.peer, application.httpRouteHint(path).map { ["hint": $0] } ?? [:])
    return refusal.response
  }

  /// RFC 9110 section 15.5.22: a WebSocket route that is asked for without an upgrade says what it wants.
  private func nothing(at path: RequestPath, _ asked: Asked) -> Response {
    guard application.webSocketRouter.match(path) != nil else {
      let hint = application.httpRouteHint
      if let answer = missingSlash(at: path, asked) { return answer }
      return refuse(asked, .noRoute, hint(path).map { ["hint": $0] } ?? [:])
    }
    return refuse(asked, .onlyWebSocket)
  }
}

extension Response {
  /// A line of text.
  static func plain(_ status: HTTPResponse.Status, _ text: String) -> Response {
    Response(
      status: status, headers: [.contentType: "text/plain; charset=utf-8", .cacheControl: "no-store"],
      body: ResponseBody(byteBuffer: ByteBuffer(string: text + "\n")))
  }

  fileprivate init(_ fixed: FixedResponse) {
    var fields = HTTPFields()
    for (name, value) in fixed.headers {
      // The loader has checked the names.
      guard let name = HTTPField.Name(name) else { continue }
      fields.append(HTTPField(name: name, value: value))
    }
    self.init(
      status: HTTPResponse.Status(code: fixed.status), headers: fields,
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: fixed.body)))
  }

  /// Captures are put in percent-encoded, and the query goes along.
  fileprivate static func redirect(
    to target: TextTemplate, captures: Captures, query: String?, status: Int
  ) -> Response {
    var location = target.filled { captures[$0]?.percentEncodedPath }.withOneLeadingSlash
    if let query, !query.isEmpty { location += (location.contains("?") ? "&" : "?") + query }
    var response = Response.plain(HTTPResponse.Status(code: status), "This has moved.")
    response.headers[.location] = location
    return response
  }
}
