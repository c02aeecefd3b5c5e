import NIOSSL

extension NIOBoringSSLErrorStack {
  /// The name of the first reason, as in `error:10000412:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED at FILE:LINE`.
  package var reason: String? {
    let parts = first.map { "\($0)".split(separator: ":") } ?? []
    let place = parts.firstIndex(of: "OPENSSL_internal").map { $0 + 1 }
    guard let place, parts.indices.contains(place) else { return nil }
    return String(parts[place].prefix { $0 != " " })
  }
}
