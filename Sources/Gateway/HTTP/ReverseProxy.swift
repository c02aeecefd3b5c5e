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
import WebSocketCore

/// Lets another server answer: the request goes on to the upstream, and its answer comes back, both as streams.
///
/// Connections to the upstream are kept and used again. A request is written anew from what was understood of it, so that the
/// two servers cannot disagree about where it ends (request smuggling).
final class ReverseProxy: Sendable {
  private let upstream: UpstreamConfiguration
  private let client: HTTPClient
  private let failures: UpstreamFailures

  private static let keptConnections = 256
  private static let idleTimeout = TimeAmount.seconds(30)

  init(_ upstream: UpstreamConfiguration, on group: any EventLoopGroup, failures: UpstreamFailures) {
    self.upstream = upstream
    self.failures = failures
    client = HTTPClient.guarded(for: upstream, on: group, kept: Self.keptConnections) { configuration in
      configuration.timeout.read = TimeAmount(upstream.readTimeout)
      configuration.connectionPool.idleTimeout = Self.idleTimeout
    }
  }

  func shutDown() async throws {
    try await client.shutdown()
  }

  /// - Parameter upload: the body of the request; nil where it has none.
  /// - Throws: where the client has gone, or sends what is no HTTP.
  func respond(
    to request: Request, _ upload: Upload?, path: RequestPath, _ match: RouteMatch, from sender: Client
  ) async throws -> Response {
    guard let target = upstream.target(of: request.head.path ?? "", path, match) else {
      return .plain(.badRequest, HandshakeRefusal.ambiguousPath)
    }
    if let length = upload?.length, length > upstream.body.bytes { return Self.tooLarge }
    var forwarded = HTTPClientRequest(url: "\(upstream.scheme.rawValue)://\(upstream.authority)\(target)")
    forwarded.method = HTTPMethod(rawValue: request.method.rawValue)
    forwarded.headers = headers(of: request, from: sender)
    if let upload {
      let limit = BodyLimit(upstream.body.bytes)
      let body = upload.map { try limit.pass($0) }
      forwarded.body = .stream(body, length: upload.length.map { .known(Int64($0)) } ?? .unknown)
    }
    do {
      return answer(try await client.execute(forwarded, deadline: .distantFuture, logger: Self.quiet))
    } catch {
      try Task.checkCancellation()
      if let fault = upload?.fault { throw fault }
      return failure(error)
    }
  }

  private static let quiet = Logger(label: "proxy") { _ in SwiftLogNoOpLogHandler() }

  private func headers(of request: Request, from sender: Client) -> HTTPHeaders {
    let rules = ForwardedHeaders(connection: request.headers[values: .connection])
    let host = request.head.authority ?? ""
    var headers = HTTPHeaders()
    headers.add(name: "Host", value: upstream.hostField(of: host))
    for field in request.headers where rules.passesRequest(field.name.canonicalName) {
      headers.add(name: field.name.rawName, value: field.value)
    }
    for (name, value) in ForwardedHeaders.added(host: host, client: sender) {
      headers.add(name: name, value: value)
    }
    return headers
  }

  private func fields(of response: HTTPHeaders) -> HTTPFields {
    let rules = ForwardedHeaders(connection: response["connection"])
    var fields = HTTPFields()
    for (name, value) in response where rules.passesResponse(name.lowercased()) {
      // What is no name of a field is nothing that a client could use.
      guard let name = HTTPField.Name(name) else { continue }
      fields.append(HTTPField(name: name, value: value))
    }
    return fields
  }

  private func answer(_ response: HTTPClientResponse) -> Response {
    let status = HTTPResponse.Status(
      code: Int(response.status.code), reasonPhrase: response.status.reasonPhrase)
    return Response(
      status: status, headers: fields(of: response.headers),
      body: body(response.body, status: Int(response.status.code)))
  }

  /// The upstream's answer broke off; so does ours, as the client would take anything else for its end.
  private struct BrokenOff: Error {}

  /// - Parameter status: what the client has been told by then.
  private func body(_ parts: HTTPClientResponse.Body, status: Int) -> ResponseBody {
    ResponseBody { [upstream, failures] writer in
      var parts = parts.makeAsyncIterator()
      while true {
        let part: ByteBuffer?
        do {
          part = try await parts.next()
        } catch {
          // A client that has gone gave the answer up itself.
          try Task.checkCancellation()
          failures.record(upstream, status: status, PeerFault(error, of: .server).description)
          // Not the error itself: the server side would take one of HTTP for the client's, and answer it.
          throw BrokenOff()
        }
        guard let part else { return try await writer.finish(nil) }
        try await writer.write(part)
      }
    }
  }

  // MARK: - When it fails

  private static let tooLarge = Response.plain(.contentTooLarge, "The body of the request is too large.")

  private static let timeout = Response.plain(.gatewayTimeout, "The upstream server did not answer in time.")

  private func failure(_ error: any Error) -> Response {
    let response: Response
    switch error {
    case is BodyLimit.TooLong: return Self.tooLarge
    case let error as HTTPClientError where error == .invalidURL:
      return .plain(.badRequest, "The request target is not a path.")
    case UpstreamFault.takesNothing:
      response = Self.timeout
    case let error as HTTPClientError
    where error == .connectTimeout || error == .readTimeout || error == .deadlineExceeded:
      response = Self.timeout
    default:
      response = .plain(.badGateway, "The upstream server cannot be reached.")
    }
    let fault = PeerFault(error, of: .server)
    failures.record(upstream, status: Int(response.status.code), fault.description)
    return response
  }
}
