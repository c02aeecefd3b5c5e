import Bytes
import Consumers
import GatewayConfig
import JSON
import Transport
import WebSocketCore

/// Asks a server for the identity of a client. The server gets some fields of the client's request, and answers with a JSON
/// object, or with a refusal that is passed on to the client.
struct IdentityCallback: Sendable {
  private let configuration: CallbackConfiguration
  let server: UpstreamFetcher
  private let failures: UpstreamFailures
  private let cache: IdentityCache?
  private let late: LateExpiries?

  /// The longest answer with an identity, which every session keeps, or with a refusal.
  private static let longestAnswer = 16 * 1024

  init(
    _ configuration: CallbackConfiguration, server: UpstreamFetcher, failures: UpstreamFailures,
    late: LateExpiries? = nil
  ) {
    self.late = late
    self.configuration = configuration
    self.server = server
    self.failures = failures
    cache = configuration.cache > .zero ? IdentityCache(lifetime: configuration.cache) : nil
  }

  func ask(_ credentials: Credentials) async -> Authentication {
    let shown = fields(showing: credentials)
    if let known = cache?.identity(for: shown) { return .identity(known) }
    do {
      let answer = try await server.fetch(shown, within: configuration.timeout, longest: Self.longestAnswer)
      let outcome = read(answer)
      if case .identity(let identity) = outcome { cache?.keep(identity, for: shown) }
      return outcome
    } catch is CancellationError {
      return fail("the client left before the answer arrived")
    } catch {
      return fail(PeerFault(error, of: .server).description)
    }
  }

  /// All fields that the server gets. Its answer must depend on nothing else.
  private func fields(showing credentials: Credentials) -> [HeaderField] {
    let shown = credentials.fields.filter { configuration.headers.contains($0.name) }
    return [
      HeaderField(name: "Host", value: configuration.url.hostField(of: credentials.host)),
      HeaderField(name: "Accept", value: "application/json"),
    ] + shown + ForwardedHeaders.added(host: credentials.host, client: credentials.client)
  }

  private func read(_ answer: UpstreamFetcher.Answer) -> Authentication {
    switch answer.status {
    case 200...299:
      guard let body = answer.body else { return fail("the answer is longer than 16 KiB") }
      guard let claims = try? JSON.parse(body.rawBytes, strings: .compared), case .object = claims
      else { return fail("the server answered \(answer.status) without a JSON object") }
      let names = configuration.user.map { [$0] } ?? ["user", "id"]
      let type = configuration.userType
      guard let user = claims.userName(among: names, as: type) else {
        return fail(
          "the answer does not name a user: \(claims.whyNoUser(among: names, as: type))",
          hint: "write user: NAME beside callback.url, with the name of the member that names the user")
      }
      do throws(TokenFault) {
        let expires = claims["exp"] == .null ? nil : try claims.time("exp")
        // By its own expiry the identity is not valid any more.
        if let expires, expires <= WallClock.secondsSinceEpoch {
          return .refused(.badToken("the identity has expired"))
        }
        late?.check(expires)
        return .identity(Identity(user: user, claims: claims, expires: expires))
      } catch {
        return fail("the exp of the answer is not a number")
      }
    case 401, 403: return .refused(refusal(answer))
    default: return fail(answer.found, hint: answer.hint(for: configuration.url.fixedPath))
    }
  }

  /// Passes the server's own words on to the client.
  private func refusal(_ answer: UpstreamFetcher.Answer) -> AuthRefusal {
    var passed = answer.fields.filter { $0.name == "www-authenticate" }
    if let body = answer.body, !body.isEmpty {
      passed += answer.fields.filter { $0.name == "content-type" }
    }
    let row: Refusal = answer.status == 403 ? .forbiddenByCallback : .refusedByCallback
    let text = row.text.replacing("STATUS", with: "\(answer.status)")
    return AuthRefusal(
      answer: row.saying(text).answering(answer.status, passed, body: answer.body ?? []))
  }

  private func fail(_ reason: String, hint: String? = nil) -> Authentication {
    failures.record(configuration.url, of: server.user, status: 503, reason, hint: hint)
    return .unavailable
  }
}
