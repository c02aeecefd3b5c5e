import AsyncHTTPClient
import GatewayConfig
import NIOCore
import NIOHTTP1
import Routing
import Transport
import WebSocketCore

/// Makes requests to one server, and reads its whole answers.
final class UpstreamFetcher: Sendable {
  struct Answer: Sendable, Equatable {
    var status: Int
    /// Names in lower case.
    var fields: [HeaderField]
    /// Nil if it was too long.
    var body: [UInt8]?
  }

  /// The whole answer did not arrive in time.
  struct TimedOut: Error, CustomStringConvertible {
    var description: String { "the server did not answer in time" }
  }

  let upstream: UpstreamConfiguration
  let user: UpstreamUser
  private let client: UpstreamClient

  private static let keptConnections = 32

  /// - Parameters:
  ///   - user: the part of the configuration that makes the requests; nil for an entry of `auth` without a name.
  ///   - loops: for connections to the server.
  init(
    _ upstream: UpstreamConfiguration, for user: UpstreamUser? = nil, on loops: any EventLoopGroup,
    failures: UpstreamFailures? = nil
  ) {
    self.upstream = upstream
    let user = user ?? .authenticator("", url: upstream.fixedURL)
    self.user = user
    client = UpstreamClient(
      upstream, of: user, on: loops, connections: Self.keptConnections, failures: failures)
  }

  func shutDown() async throws {
    try await client.shutDown()
  }

  /// - Parameters:
  ///   - target: the path and the query of the request; nil for the path of a URL without places.
  ///   - fields: the fields of the request; `Host` is added if it is missing.
  ///   - body: of a POST; nil for a GET.
  ///   - time: for the whole answer.
  ///   - longest: the longest body, in bytes.
  func fetch(
    target: String? = nil, _ fields: [HeaderField], posting body: [UInt8]? = nil, within time: Duration,
    longest: Int
  ) async throws -> Answer {
    var request = HTTPClientRequest(to: upstream, target: target ?? upstream.fixedPath)
    if let body {
      request.method = .POST
      request.body = .bytes(body)
    }
    for field in fields { request.headers.add(name: field.name, value: field.value) }
    // AsyncHTTPClient sets no `Host` for a Unix socket, but HTTP/1.1 requires one.
    if !request.headers.contains(name: "host") {
      request.headers.add(name: "Host", value: upstream.authority)
    }
    let fetched: Answer? = try await within(time) { [request, client] in
      try await Self.read(client.execute(request), longest: longest)
    }
    guard let fetched else { throw TimedOut() }
    return fetched
  }

  private static func read(_ response: HTTPClientResponse, longest: Int) async throws -> Answer {
    var body: [UInt8]? = []
    do {
      body = Array(buffer: try await response.body.collect(upTo: longest))
    } catch is NIOTooManyBytesError {
      body = nil
    }
    return Answer(
      status: Int(response.status.code),
      fields: response.headers.map { HeaderField(name: $0.name.lowercased(), value: $0.value) }, body: body)
  }
}

extension UpstreamFetcher.Answer {
  /// The status in words, for an answer that is not the expected one: of a redirect also its target, which Sluice does not follow.
  var found: String {
    guard let location else { return "the server answered \(status)" }
    return "the server answered \(status) to \(RefusalLog.printable(Array(location.utf8)))"
  }

  /// What to change in the configuration after a redirect; nil for other answers.
  ///
  /// - Parameter path: of the request.
  func hint(for path: String) -> String? {
    guard let location else { return nil }
    let isSlashMissing =
      if case .success(let target) = RequestPath.decode(target: Array(location.utf8)),
        case .success(let asked) = RequestPath.decode(target: Array(path.utf8))
      { target.bytes == asked.bytes + [UInt8(ascii: "/")] } else { false }
    return isSlashMissing
      ? "write the \"/\" at the end of the URL" : "write a URL that the server answers without a redirect"
  }

  /// Whether it says that it is HTML, or says nothing of what it is.
  var mayBePage: Bool {
    fields.firstValue(of: "content-type").map { $0.lowercased().hasPrefix("text/html") } ?? true
  }

  /// The target of a redirect (RFC 9110 section 15.4).
  private var location: String? {
    (300...399).contains(status) ? fields.first { $0.name == "location" }?.value : nil
  }
}
