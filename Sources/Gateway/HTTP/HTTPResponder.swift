import Bytes
import GatewayConfig
import Routing
import Sessions
import Transport
import WebSocketCore

/// Answers plain requests with the HTTP routes that were served when they came.
struct HTTPResponder: Sendable {
  let gateway: GatewayState

  /// A request, what is served to it, and who has sent it, as far as a refusal has to tell of them.
  struct Asked {
    var served: ServedApplication
    var target: [UInt8]
    var client: Client
  }

  /// The answer to a request, without its body.
  ///
  /// - Parameters:
  ///   - handler: what it is for; not for one that answers itself.
  ///   - place: where it leads among the HTTP routes.
  func answer(
    _ request: RequestHead, _ handler: HTTPHandler?, at place: HTTPPlace?, from client: Client,
    of served: ServedApplication
  ) -> HTTPAnswer {
    let asked = Asked(served: served, target: request.target, client: client)
    // RFC 9110 section 9.3.6, and RFC 9112 section 3.2.4 for a request to the server as a whole.
    if request.method == "CONNECT" { return refuse(asked, .connect) }
    if request.target == [UInt8(ascii: "*")] {
      return request.method == "OPTIONS" ? HTTPAnswer(status: 204) : refuse(asked, .notOptions)
    }
    guard let place, let handler else {
      guard case .success(let path) = RequestPath.decode(target: request.target) else {
        return refuse(asked, .badPath)
      }
      return nothing(at: path, asked)
    }
    switch handler {
    case .respond(let fixed): return HTTPAnswer(fixed)
    case .redirect(let target, let status):
      return .redirect(to: target, captures: place.match.captures, query: place.path.query, status: status)
    case .health(let probe): return gateway.process.healthAnswer(probe)
    case .events(let route): return answer(request, asked, by: route)
    case .files, .proxy, .publish: return nothing(at: place.path, asked)
    }
  }

  private func answer(_ request: RequestHead, _ asked: Asked, by route: EventRoute) -> HTTPAnswer {
    let origins = request.values(of: "origin")
    let host = request.firstValue(of: "host") ?? ""
    switch route.configuration.origins.crossOrigin(origins, host: host, client: asked.client) {
    case .success(let fields): return route.answer(toMethod: request.method, fields)
    case .failure(let refusal):
      return refuse(asked, refusal, OriginPolicy.facts(origin: origins.first, host: asked.client.host(host)))
    }
  }

  /// The answer in words, and the line in the log that the row of the refusal says. It is the only way to a refusal's answer here,
  /// except for those with a line of their own.
  func refuse(
    _ asked: Asked, _ refusal: Refusal, _ facts: @autoclosure () -> [String: String] = [:]
  ) -> HTTPAnswer {
    gateway.httpRefusals.record(refusal, target: asked.target, peer: asked.client.peer, facts())
    return HTTPAnswer(refusal)
  }

  /// A program that publishes is told what its URL lacks, in the form in which it reads the answers of the route.
  ///
  /// - Returns: nil if the path is none of a publish route with another end.
  private func missingSlash(at path: RequestPath, _ asked: Asked) -> HTTPAnswer? {
    let application = asked.served.application
    guard let other = application.httpRouter.routeWithOtherSlash(path),
      case .publish = asked.served.handlers[other.route]
    else { return nil }
    let advice =
      path.bytes.last == UInt8(ascii: "/") ? "remove the \"/\" at its end" : "add a \"/\" at its end"
    let refusal = PublishRefusal(.publishNothingThere, "there is nothing at this path: \(advice)")
    gateway.httpRefusals.record(
      refusal.row, target: asked.target, peer: asked.client.peer,
      application.httpRouteHint(path).map { ["hint": $0] } ?? [:])
    return refusal.answer
  }

  /// RFC 9110 section 15.5.22: a WebSocket route that is asked for without an upgrade says what it wants.
  func nothing(at path: RequestPath, _ asked: Asked) -> HTTPAnswer {
    let application = asked.served.application
    guard application.webSocketRouter.match(path) != nil else {
      if let answer = missingSlash(at: path, asked) { return answer }
      return refuse(asked, .noRoute, application.httpRouteHint(path).map { ["hint": $0] } ?? [:])
    }
    return refuse(asked, .onlyWebSocket)
  }
}

extension EventRoute {
  /// Answers what is no GET: only such a request opens a stream.
  ///
  /// - Parameter crossOrigin: what the answer says about the page's origin, which may have the stream.
  fileprivate func answer(toMethod method: String, _ crossOrigin: [HeaderField]) -> HTTPAnswer {
    var answer: HTTPAnswer =
      switch method {
      case "HEAD": HTTPAnswer(status: 200, fields: Self.fields)
      // Scripts that read the stream themselves may send a token, which browsers ask about first.
      case "OPTIONS":
        .options(
          allow: Self.methods, methods: "GET", fields: "Authorization, Cache-Control, Last-Event-ID")
      // Its row has no line.
      default: HTTPAnswer(.onlyGET)
      }
    answer.fields += crossOrigin
    return answer
  }
}

extension HTTPAnswer {
  fileprivate init(_ fixed: FixedResponse) {
    self.init(
      status: fixed.status, fields: fixed.headers.map { HeaderField(name: $0.name, value: $0.value) },
      body: fixed.body)
  }

  /// Captures are put in percent-encoded, and the query goes along.
  fileprivate static func redirect(
    to target: TextTemplate, captures: Captures, query: String?, status: Int
  ) -> HTTPAnswer {
    var location = target.filled { captures[$0]?.percentEncodedPath }.withOneLeadingSlash
    if let query, !query.isEmpty { location += (location.contains("?") ? "&" : "?") + query }
    return .plain(status, "This has moved.", [HeaderField(name: "Location", value: location)])
  }
}
