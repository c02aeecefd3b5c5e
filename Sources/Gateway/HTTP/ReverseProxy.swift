import AsyncHTTPClient
import GatewayConfig
import HTTPTypes
import Hummingbird
import NIOCore
import NIOHTTP1
import Routing
import Sessions
import Transport
import WebSocketCore

/// Passes requests on to the upstream and its answers back, both as streams.
///
/// Connections to the upstream are kept and reused. A request is encoded anew from its parsed form, so that the two servers
/// cannot disagree about where it ends (request smuggling).
///
/// A client that takes nothing of its answer is disconnected if another client waits for its connection to the upstream
/// (`UpstreamPlaces`). Bytes that wait for a client count in `limits.send_memory`.
final class ReverseProxy: Sendable {
  private let upstream: UpstreamConfiguration
  private let client: UpstreamClient
  private let failures: UpstreamFailures
  private let places: UpstreamPlaces
  private let memory: MemoryBound
  private let routeName: String

  private static let connections = 256
  /// Bytes of an answer that are not counted, so that a small answer is never refused.
  private static let freeMemory = 16 * 1024
  /// The most bytes that one answer holds while its client takes nothing: ten reads of 16 KiB here, NIO's buffer for the client
  /// up to its high-water mark, and the kernel's buffers on both sides.
  private static let mostMemory = 352 * 1024
  /// How often, and how long each time, an answer waits for the memory of clients that are being disconnected. Milliseconds.
  private static let memoryWaits = (count: 20, time: 50)

  /// - Parameters:
  ///   - memory: for bytes that wait for clients.
  ///   - route: its name, for the log.
  init(
    _ upstream: UpstreamConfiguration, on group: any EventLoopGroup, failures: UpstreamFailures,
    memory: MemoryBound, route: String
  ) {
    self.memory = memory
    routeName = route
    places = UpstreamPlaces(Self.connections, on: group.next()) { shortage in
      failures.recordShortage(upstream, of: .route(route), shortage.counts)
    }
    self.upstream = upstream
    self.failures = failures
    client = UpstreamClient(
      upstream, of: .route(route), on: group, connections: Self.connections, failures: failures
    ) { $0.timeout.read = TimeAmount(upstream.readTimeout) }
  }

  func shutDown() async throws {
    try await client.shutDown()
  }

  /// - Parameter channel: the client's channel, which is closed if another client needs its connection to the upstream.
  /// - Throws: `Refusal`; another error if the client is gone, or sends bytes that are not HTTP.
  func respond(
    to request: Request, _ upload: Upload?, path: RequestPath, _ match: RouteMatch, from sender: Client,
    on channel: any Channel
  ) async throws -> Response {
    guard let target = upstream.target(of: request.head.path ?? "", path, match) else {
      throw Refusal.ambiguousPath
    }
    // RFC 9110 section 9.3.8.
    if request.method == .trace, upload != nil { throw Refusal.traceWithBody }
    if let length = upload?.length, length > upstream.body.bytes { throw Refusal.bodyTooLarge }
    var forwarded = HTTPClientRequest(to: upstream, target: target)
    forwarded.method = HTTPMethod(rawValue: request.method.rawValue)
    forwarded.headers.add(contentsOf: headers(of: request, from: sender))
    let place: UpstreamPlaces.Place
    do {
      place = try await places.take(within: upstream.connectTimeout) { channel.abandon() }
    } catch is UpstreamPlaces.AllInUse {
      throw Refusal.upstreamBusy
    }
    if let upload {
      let body = UploadParts(upload: upload, limit: upstream.body.bytes, place: place)
      forwarded.body = .stream(body, length: upload.length.map { .known(Int64($0)) } ?? .unknown)
    }
    do {
      return try await answer(try await client.execute(forwarded), to: request, place)
    } catch {
      try Task.checkCancellation()
      throw upload?.fault ?? refusal(for: error, of: request)
    }
  }

  private func headers(of request: Request, from sender: Client) -> HTTPHeaders {
    let rules = ForwardedHeaders(connection: request.headers[values: .connection])
    let host = request.head.authority ?? ""
    var headers = HTTPHeaders()
    headers.add(name: "Host", value: upstream.hostField(of: host))
    for field in request.headers where rules.passesRequest(field.name.canonicalName) {
      headers.add(name: field.name.rawName, value: field.value)
    }
    for field in ForwardedHeaders.added(host: host, client: sender) {
      headers.add(name: field.name, value: field.value)
    }
    return headers
  }

  private func fields(of response: HTTPHeaders) -> HTTPFields {
    let rules = ForwardedHeaders(connection: response["connection"])
    let passed = response.lazy.filter { rules.passesResponse($0.name.lowercased()) }
    return HTTPFields(passed.map { HeaderField(name: $0.name, value: $0.value) })
  }

  private func answer(
    _ response: HTTPClientResponse, to request: Request, _ place: UpstreamPlaces.Place
  ) async throws -> Response {
    let announced = response.headers.first(name: "content-length").flatMap { Int($0) }
    // The length in an answer to HEAD is that of the answer to GET.
    let length = request.method == .head ? 0 : announced
    guard let share = try await share(for: length) else { throw Refusal.noMemory }
    let status = HTTPResponse.Status(
      code: Int(response.status.code), reasonPhrase: response.status.reasonPhrase)
    let body = body(response.body, of: request.head.path, status: status.code, place, share)
    return Response(status: status, headers: fields(of: response.headers), body: body)
  }

  /// Counts the bytes that the answer may hold while its client takes nothing.
  ///
  /// - Parameter length: the length of the answer's body; nil if it is not known.
  /// - Returns: nil if there is no memory for it, even after other clients were disconnected.
  private func share(for length: Int?) async throws -> MemoryShare? {
    let share = MemoryShare(of: memory.budget, free: Self.freeMemory)
    let size = min(max(length ?? Self.mostMemory, 0), Self.mostMemory)
    for _ in 0..<Self.memoryWaits.count {
      if share.resize(to: size) { return share }
      guard places.letGoOfSlowest() else { return nil }
      memory.countEviction(route: routeName)
      try await Task.sleep(for: .milliseconds(Self.memoryWaits.time))
    }
    return share.resize(to: size) ? share : nil
  }

  /// The upstream's answer broke off. Ours breaks off as well, because the client would take anything else for its end.
  private struct BrokenOff: Error {}

  /// - Parameters:
  ///   - target: of the client's request.
  ///   - status: the status that the client has received by then.
  private func body(
    _ parts: HTTPClientResponse.Body, of target: String?, status: Int, _ place: UpstreamPlaces.Place,
    _ share: MemoryShare
  ) -> ResponseBody {
    ResponseBody { [upstream, client, failures, routeName] writer in
      // The connection is the client's for as long as the answer takes.
      defer { withExtendedLifetime(client) {} }
      // On every path.
      defer { place.leave() }
      var parts = parts.makeAsyncIterator()
      while true {
        let part: ByteBuffer?
        do {
          part = try await parts.next()
        } catch {
          // A client that is gone has given the answer up itself.
          try Task.checkCancellation()
          failures.record(
            upstream, of: .route(routeName), target: target.map { Array($0.utf8) }, status: status,
            error)
          // Not the original error, because the server would take an HTTP error for the client's, and answer it.
          throw BrokenOff()
        }
        guard let part else {
          place.leave()
          try await writer.finish(nil)
          return withExtendedLifetime(share) {}
        }
        place.waitsToSend()
        try await writer.write(part)
        place.hasSent()
      }
    }
  }

  // MARK: - When it fails

  /// - Returns: the refusal, about which a line is written if the upstream has failed.
  private func refusal(for error: any Error, of request: Request) -> Refusal {
    let refusal: Refusal
    switch error {
    case let decided as Refusal: return decided
    case let error as HTTPClientError where error == .invalidURL: return .badTarget
    case UpstreamFault.takesNothing: refusal = .upstreamTimeout
    case let error as HTTPClientError
    where error == .connectTimeout || error == .readTimeout || error == .deadlineExceeded:
      refusal = .upstreamTimeout
    default: refusal = .upstreamUnreachable
    }
    failures.record(
      upstream, of: .route(routeName), target: request.head.path.map { Array($0.utf8) },
      status: refusal.answerStatus, error)
    return refusal
  }
}

/// The body of a request for an upstream. While it waits for a part, it waits for the client.
private struct UploadParts: AsyncSequence, Sendable {
  let upload: Upload
  /// More bytes are an error, `Refusal.bodyTooLarge`.
  let limit: Int
  let place: UpstreamPlaces.Place

  struct AsyncIterator: AsyncIteratorProtocol {
    var parts: Upload.AsyncIterator
    /// Bytes that may still come.
    var left: Int
    let place: UpstreamPlaces.Place

    mutating func next() async throws -> ByteBuffer? {
      place.waitsToReceive()
      defer { place.hasReceived() }
      let part = try await parts.next(isolation: nil)
      left -= part?.readableBytes ?? 0
      guard left >= 0 else { throw Refusal.bodyTooLarge }
      return part
    }
  }

  func makeAsyncIterator() -> AsyncIterator {
    AsyncIterator(parts: upload.makeAsyncIterator(), left: limit, place: place)
  }
}
