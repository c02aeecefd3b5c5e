import ArgumentParser
import GatewayConfig

/// The `--url` of commands that speak with a `publish` route.
enum PublishAddress {
  /// - Throws: wrong usage.
  static func check(_ url: String?) throws {
    if let scheme = url?.firstRange(of: "://").flatMap({ url?[..<$0.lowerBound] }),
      !["http", "https", "http+unix", "https+unix"].contains(scheme.lowercased())
    {
      throw ValidationError("The URL begins with \(scheme)://; use http:// or https://.")
    }
    // The HTTP client would not survive a larger one.
    if let port = url?.firstMatch(of: /:\/\/[^\/?#]*:([0-9]+)(?:[\/?#]|$)/)?.1,
      (UInt16(digits: port) ?? 0) == 0
    {
      throw ValidationError("The URL has the port \(port); a port is 1 to 65535.")
    }
  }
}
