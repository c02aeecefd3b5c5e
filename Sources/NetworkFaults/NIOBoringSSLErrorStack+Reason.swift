import NIOSSL

extension NIOBoringSSLErrorStack {
  /// The name of the first reason, as in `error:10000412:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED at FILE:LINE`; that a
  /// certificate was not accepted says more than what lower parts found wrong with it before.
  package var reason: String? {
    contains { Self.reason(of: $0) == Self.verificationFailed }
      ? Self.verificationFailed : first.flatMap(Self.reason)
  }

  static let verificationFailed = "CERTIFICATE_VERIFY_FAILED"

  private static func reason(of error: Element) -> String? {
    let parts = "\(error)".split(separator: ":")
    let place = parts.firstIndex(of: "OPENSSL_internal").map { $0 + 1 }
    guard let place, parts.indices.contains(place) else { return nil }
    return String(parts[place].prefix { $0 != " " })
  }
}
