import GatewayConfig
import HTTPTypes
import Hummingbird
import NIOHTTP1
import Transport

/// The fields of a message on their way through a proxy.
enum ForwardedHeaders {
  /// Meant for the next hop only (RFC 9110 section 7.6.1), or made anew for it.
  private static let hopByHop: Set<String> = [
    "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te",
    "trailer",
    "transfer-encoding", "upgrade", "http2-settings",
  ]

  /// What a client says about who it is and where it came in is ours to say.
  private static let ours: Set<String> = [
    "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "forwarded", "x-real-ip",
    "host", "expect", "content-length",
  ]

  /// A name with an underscore is dropped: to WSGI it looks the same as one with a dash.
  static func request(
    _ request: Request, to upstream: UpstreamConfiguration, from peer: PeerAddress
  ) -> HTTPHeaders {
    let named = connectionOptions(request.headers[values: .connection])
    var headers = HTTPHeaders()
    let host = request.head.authority ?? ""
    headers.add(
      name: "Host", value: upstream.hostHeader == .keep && !host.isEmpty ? host : upstream.authority)
    for field in request.headers {
      let name = field.name.canonicalName
      guard !hopByHop.contains(name), !named.contains(name), !ours.contains(name), !name.contains("_") else {
        continue
      }
      headers.add(name: field.name.rawName, value: field.value)
    }
    if let address = peer.host { headers.add(name: "X-Forwarded-For", value: address) }
    headers.add(name: "X-Forwarded-Proto", value: "http")
    if !host.isEmpty { headers.add(name: "X-Forwarded-Host", value: host) }
    return headers
  }

  static func response(_ headers: HTTPHeaders) -> HTTPFields {
    let named = connectionOptions(headers["connection"])
    var fields = HTTPFields()
    for (name, value) in headers {
      let lowercased = name.lowercased()
      guard !hopByHop.contains(lowercased), !named.contains(lowercased), let field = HTTPField.Name(name)
      else {
        continue
      }
      fields.append(HTTPField(name: field, value: value))
    }
    return fields
  }

  /// The fields that `Connection` names.
  private static func connectionOptions(_ values: [String]) -> Set<String> {
    Set(
      values.flatMap { $0.split(separator: ",") }.map {
        $0.filter { $0 != " " && $0 != "\t" }.lowercased()
      })
  }
}
