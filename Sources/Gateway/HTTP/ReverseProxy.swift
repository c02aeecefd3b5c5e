import AsyncHTTPClient
import GatewayConfig
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import Routing
import Transport

/// Lets another server answer: the request goes on to the upstream, and its answer comes back, both as streams.
///
/// Connections to the upstream are kept and used again. A request is written anew from what was understood of it, so that the
/// two servers cannot disagree about where it ends (request smuggling).
final class ReverseProxy: Sendable {
  private let upstream: UpstreamConfiguration
  private let client: HTTPClient
  private let log: Logger
  private let pace = SharedLogPace()

  /// Connections that are kept for one upstream; more are opened when they are needed, and closed again.
  private static let keptConnections = 256
  private static let idleTimeout = TimeAmount.seconds(30)

  init(_ upstream: UpstreamConfiguration, on group: any EventLoopGroup, log: Logger) {
    self.upstream = upstream
    self.log = log
    var configuration = HTTPClient.Configuration()
    configuration.redirectConfiguration = .disallow
    configuration.decompression = .disabled
    configuration.httpVersion = .http1Only
    configuration.timeout = .init(
      connect: .nanoseconds(Int64(upstream.connectTimeout.wholeNanoseconds)),
      read: .nanoseconds(Int64(upstream.readTimeout.wholeNanoseconds)))
    configuration.connectionPool = .init(
      idleTimeout: Self.idleTimeout, concurrentHTTP1ConnectionsPerHostSoftLimit: Self.keptConnections)
    configuration.connectionPool.retryConnectionEstablishment = false
    client = HTTPClient(eventLoopGroupProvider: .shared(group), configuration: configuration)
  }

  func shutDown() async throws {
    try await client.shutdown()
  }

  func respond(to request: Request, match: RouteMatch, query: String?, from peer: PeerAddress) async
    -> Response
  {
    guard let target = target(of: request, match, query) else {
      return .plain(.badRequest, "The target of the request is no path.")
    }
    let length = request.headers[.contentLength].flatMap { Int($0) }
    if let length, length > upstream.body.bytes { return Self.tooLarge }
    var forwarded = HTTPClientRequest(url: "\(upstream.scheme.rawValue)://\(upstream.authority)\(target)")
    forwarded.method = HTTPMethod(rawValue: request.method.rawValue)
    forwarded.headers = ForwardedHeaders.request(request, to: upstream, from: peer)
    if length != nil || request.headers[.transferEncoding] != nil {
      let limit = BodyLimit(upstream.body.bytes)
      let body = request.body.map { try limit.pass($0) }
      forwarded.body = .stream(body, length: length.map { .known(Int64($0)) } ?? .unknown)
    }
    do {
      let response = try await client.execute(forwarded, deadline: .distantFuture, logger: Self.quiet)
      return answer(response, to: request)
    } catch {
      return failure(error, request)
    }
  }

  private static let quiet = Logger(label: "proxy") { _ in SwiftLogNoOpLogHandler() }

  /// Path and query as they came, or the template with what is left of the path behind it.
  private func target(of request: Request, _ match: RouteMatch, _ query: String?) -> String? {
    guard let template = upstream.path else {
      guard let path = request.head.path, path.hasPrefix("/"), !path.contains("#") else { return nil }
      return path
    }
    var target = template.filled { match.captures[$0]?.percentEncodedPath }
    target += (match.remainder ?? "").percentEncodedPath
    if let query { target += "?" + query }
    return target.contains("#") ? nil : target
  }

  private func answer(_ response: HTTPClientResponse, to request: Request) -> Response {
    let status = HTTPResponse.Status(
      code: Int(response.status.code), reasonPhrase: response.status.reasonPhrase)
    let hasBody = request.method != .head && status.code != 204 && status.code != 304
    return Response(
      status: status, headers: ForwardedHeaders.response(response.headers),
      body: hasBody ? Self.body(response.body) : ResponseBody())
  }

  /// The upstream's answer broke off; so does ours, as the client would take anything else for its end.
  private struct BrokenOff: Error {}

  private static func body(_ parts: HTTPClientResponse.Body) -> ResponseBody {
    ResponseBody { writer in
      do {
        for try await part in parts { try await writer.write(part) }
      } catch is HTTPParserError {
        // Of the upstream, which the server side would take for one of the client, and answer.
        throw BrokenOff()
      }
      try await writer.finish(nil)
    }
  }

  // MARK: - When it fails

  private static let tooLarge = Response.plain(.contentTooLarge, "The body of the request is too large.")

  private func failure(_ error: any Error, _ request: Request) -> Response {
    let response: Response
    switch error {
    case is BodyLimit.TooLong: return Self.tooLarge
    case let error as HTTPClientError where error == .invalidURL:
      return .plain(.badRequest, "The target of the request is no path.")
    case let error as HTTPClientError
    where error == .connectTimeout || error == .readTimeout || error == .deadlineExceeded:
      response = .plain(.gatewayTimeout, "The server behind this one does not answer.")
    default:
      response = .plain(.badGateway, "The server behind this one cannot be reached.")
    }
    if let suppressed = pace.next() {
      log.warning(
        "an upstream failed",
        metadata: [
          "upstream": "\(upstream.authority)", "status": "\(response.status.code)", "reason": "\(error)",
          "suppressed": "\(suppressed)",
        ])
    }
    return response
  }
}
