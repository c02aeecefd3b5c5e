import AsyncHTTPClient
import Bench
import Gateway
import GatewayConfig
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import NetworkFaults
import Sessions
import Transport

/// Sends publish requests to a running gateway.
struct PublishClient {
  /// Whose certificates it accepts.
  let trust: UpstreamConfiguration.Trust

  /// Why there is no answer, as a sentence.
  struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  typealias Answer = (status: Int, body: [UInt8])

  private static let patience = TimeAmount.seconds(30)
  private static let longestAnswer = 1 << 20

  /// - Parameter body: JSON.
  func post(
    _ body: [UInt8], to target: PublishTarget, idempotencyKey: String? = nil
  ) async throws(Failure) -> Answer {
    try await send(.POST, body, to: target, idempotencyKey: idempotencyKey)
  }

  /// - Parameter body: JSON; nil for a request without one.
  func send(
    _ method: HTTPMethod, _ body: [UInt8]? = nil, to target: PublishTarget, idempotencyKey: String? = nil
  ) async throws(Failure) -> Answer {
    if let shortage = DescriptorLimit.shortageOfClient() { throw Failure(description: shortage) }
    let client = HTTPClient.guarded(on: .singleton) {
      $0.timeout.connect = .seconds(10)
      $0.tlsConfiguration = trust.clientConfiguration
    }
    var request = HTTPClientRequest(url: target.url)
    request.method = method
    // The path of a socket takes the place of a host in the URL, but is not one.
    if target.url.contains("+unix://") { request.headers.add(name: "Host", value: "localhost") }
    if let token = target.token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
    if let key = idempotencyKey { request.headers.add(name: "Idempotency-Key", value: key) }
    if let body {
      request.headers.add(name: "Content-Type", value: "application/json")
      request.body = .bytes(ByteBuffer(bytes: body))
    }
    let outcome: Result<Answer, any Error>
    do {
      let response = try await client.execute(request, timeout: Self.patience)
      let text = try await response.body.collect(upTo: Self.longestAnswer)
      outcome = .success((Int(response.status.code), Array(text.readableBytesView)))
    } catch {
      outcome = .failure(error)
    }
    do {
      try await client.shutdown()
      return try outcome.get()
    } catch {
      throw Failure(description: "\(target.url) cannot be reached: \(Self.words(for: error))")
    }
  }

  private static func words(for error: any Error) -> String {
    switch error {
    case let error as HTTPClientError
    where error == .invalidURL || error == .emptyHost || error == .emptyScheme:
      "it is not a URL"
    case let error as HTTPClientError where error == .connectTimeout || error == .deadlineExceeded:
      "no answer in time"
    case _ where isRefused(error):
      (NetworkFault.words(for: error) ?? "\(error)")
        + "; is the gateway running? If it was started with --bind, give its URL with --url"
    default: NetworkFault.words(for: error) ?? PeerFault(error, of: .server).sentence
    }
  }

  /// Whether nothing listens at the address, or there is no such Unix socket.
  private static func isRefused(_ error: any Error) -> Bool {
    let single = (error as? NIOConnectionError)?.connectionErrors.first?.error ?? error
    return (single as? IOError).map { [ECONNREFUSED, ENOENT].contains($0.errnoCode) } ?? false
  }
}
