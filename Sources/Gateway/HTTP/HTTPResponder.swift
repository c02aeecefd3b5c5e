import Bytes
import GatewayConfig
import HTTPTypes
import Hummingbird
import NIOCore
import Routing
import Sessions
import WebSocketCore

/// Answers HTTP requests with the HTTP routes that were served when they came.
struct HTTPResponder: Sendable {
  let gateway: GatewayState

  /// A request, what is served to it, and who has sent it, as far as a refusal has to tell of them.
  private struct Asked {
    var served: ServedApplication
    var request: Request
    var client: Client

    var application: GatewayConfig.ApplicationConfiguration { served.application }
  }

  /// - Throws: where there is nobody or nothing to answer.
  func respond(
    to request: Request, _ upload: Upload?, from client: Client, with served: ServedApplication,
    on channel: any Channel
  ) async throws -> Response {
    let asked = Asked(served: served, request: request, client: client)
    // RFC 9110 section 9.3.6, and RFC 9112 section 3.2.4 for a request to the server as a whole.
    if request.method == .connect { return refuse(asked, .connect) }
    if request.head.path == "*" {
      return request.method == .options ? Response(status: .noContent) : refuse(asked, .notOptions)
    }
    let path: RequestPath
    switch RequestPath.decode(target: Array((request.head.path ?? "/").utf8)) {
    case .success(let decoded): path = decoded
    case .failure: return refuse(asked, .badPath)
    }
    guard let match = asked.application.httpRouter.match(path) else {
      return nothing(at: path, asked)
    }
    do {
      return try await answer(match, path: path, asked, upload, channel: channel) ?? nothing(at: path, asked)
    } catch let refusal as Refusal {
      return refuse(asked, refusal)
    }
  }

  /// - Returns: nil where a static route leaves the request to what else matches the path.
  private func answer(
    _ match: RouteMatch, path: RequestPath, _ asked: Asked, _ upload: Upload?, channel: any Channel
  ) async throws -> Response? {
    let (application, request, client) = (asked.application, asked.request, asked.client)
    switch asked.served.handlers[match.route] {
    case .files(let files):
      let file = match.remainder ?? ""
      if let answer = try await files.respond(to: request, file: file) { return answer }
      let isWebSocket = application.webSocketRouter.match(path) != nil
      return try await files.fallBack(on: request, file: file, besideWebSocket: isWebSocket)
    case .respond(let fixed): return Response(fixed)
    case .redirect(let target, let status):
      return .redirect(to: target, captures: match.captures, query: path.query, status: status)
    case .proxy(let proxy):
      let isProtectedElsewhere = path.isReadElsewhere(by: application.httpRouter, than: match) {
        application.httpRoutes[$0].auth != nil
      }
      guard !isProtectedElsewhere else { throw Refusal.mergedSlashes }
      return try await proxy.respond(to: request, upload, path: path, match, from: client, on: channel)
    case .publish(let endpoint):
      return try await endpoint.respond(to: request, upload, match: match, path: path, from: client)
    case .health(let probe): return health(probe)
    case .events(let route): return answer(asked, by: route)
    }
  }

  private func answer(_ asked: Asked, by route: EventRoute) -> Response {
    let origins = asked.request.headers[values: .origin]
    let host = asked.request.head.authority ?? ""
    switch route.configuration.origins.crossOrigin(origins, host: host, client: asked.client) {
    case .success(let fields): return route.respond(to: asked.request, fields)
    case .failure(let refusal):
      return refuse(asked, refusal, OriginPolicy.facts(origin: origins.first, host: asked.client.host(host)))
    }
  }

  /// The answer in words, and the line in the log that the row of the refusal says. It is the only way to a refusal's answer here,
  /// except for those with a line of their own.
  private func refuse(
    _ asked: Asked, _ refusal: Refusal, _ facts: @autoclosure () -> [String: String] = [:]
  ) -> Response {
    gateway.httpRefusals.record(refusal, target: asked.request.head.path, peer: asked.client.peer, facts())
    return Response(refusal)
  }

  private func health(_ probe: HealthProbe) -> Response {
    let (isGood, text) = gateway.process.health(probe)
    return .plain(isGood ? .ok : .serviceUnavailable, text)
  }

  /// A program that publishes is told what its URL lacks, in the form in which it reads the answers of the route.
  ///
  /// - Returns: nil if the path is none of a publish route with another end.
  private func missingSlash(at path: RequestPath, _ asked: Asked) -> Response? {
    guard let other = asked.application.httpRouter.routeWithOtherSlash(path),
      case .publish = asked.served.handlers[other.route]
    else { return nil }
    let advice =
      path.bytes.last == UInt8(ascii: "/") ? "remove the \"/\" at its end" : "add a \"/\" at its end"
    let refusal = PublishRefusal(.publishNothingThere, "there is nothing at this path: \(advice)")
    gateway.httpRefusals.record(
      refusal.row, target: asked.request.head.path, peer: asked.client.peer,
      asked.application.httpRouteHint(path).map { ["hint": $0] } ?? [:])
    return refusal.response
  }

  /// RFC 9110 section 15.5.22: a WebSocket route that is asked for without an upgrade says what it wants.
  private func nothing(at path: RequestPath, _ asked: Asked) -> Response {
    guard asked.application.webSocketRouter.match(path) != nil else {
      if let answer = missingSlash(at: path, asked) { return answer }
      return refuse(asked, .noRoute, asked.application.httpRouteHint(path).map { ["hint": $0] } ?? [:])
    }
    return refuse(asked, .onlyWebSocket)
  }
}

extension Response {
  /// The answer of the HTTP side: the text as one line.
  init(_ refusal: Refusal) {
    self = .plain(HTTPResponse.Status(code: refusal.answerStatus), refusal.text)
    headers.append(contentsOf: HTTPFields(refusal.fields))
  }

  /// A line of text.
  static func plain(_ status: HTTPResponse.Status, _ text: String) -> Response {
    Response(
      status: status, headers: [.contentType: "text/plain; charset=utf-8", .cacheControl: "no-store"],
      body: ResponseBody(byteBuffer: ByteBuffer(string: text + "\n")))
  }

  /// The answer to OPTIONS: what there is, and what pages of other origins may send (the Fetch standard, section 3.2).
  static func options(allow: String, methods: String, fields: String) -> Response {
    Response(
      status: .noContent,
      headers: [
        .allow: allow, .accessControlAllowMethods: methods, .accessControlAllowHeaders: fields,
        .accessControlMaxAge: "600",
      ])
  }

  fileprivate init(_ fixed: FixedResponse) {
    self.init(
      status: HTTPResponse.Status(code: fixed.status),
      headers: HTTPFields(fixed.headers.map { HeaderField(name: $0.name, value: $0.value) }),
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
