import Bytes

/// `allowed_hosts`: the `Origin` that a WebSocket handshake may carry.
package enum OriginPolicy: Sendable, Hashable {
  /// The key is not given: an `Origin` must name the request's own host, and a client without one is allowed.
  case sameHost
  /// The key is given: the patterns, with the rules of Django's `channels.security.websocket.OriginValidator`.
  case patterns([String])

  /// - Parameters:
  ///   - host: the request's `Host` header.
  ///   - isSecure: whether TLS ends here.
  package func allows(origin: String?, host: String, isSecure: Bool = false) -> Bool {
    switch self {
    case .sameHost:
      guard let origin else { return true }
      guard let parsed = Origin(origin), let requested = Origin("//" + host) else { return false }
      // Otherwise TLS may end in front of Sluice, so the scheme only determines the default port.
      guard !isSecure || parsed.scheme == "https" else { return false }
      guard parsed.hasGoodPort, requested.hasGoodPort else { return false }
      let port = requested.port ?? parsed.defaultPort
      return parsed.host == requested.host && (parsed.port ?? parsed.defaultPort) == port
    case .patterns(let patterns):
      if patterns.contains("*") { return true }
      guard let origin, let parsed = Origin(origin), !parsed.host.isEmpty else { return false }
      return patterns.contains { matches(parsed, $0) }
    }
  }

  /// A pattern without a scheme is compared with the host name only, one with a scheme also with scheme and port.
  private func matches(_ origin: Origin, _ pattern: String) -> Bool {
    guard let schemeEnd = pattern.firstRange(of: "://") else {
      guard let wanted = Origin("//" + pattern), wanted.port == nil, wanted.hasGoodPort else { return false }
      return Self.isSame(origin.host, wanted.host)
    }
    guard !pattern[..<schemeEnd.lowerBound].isEmpty, let wanted = Origin(pattern) else { return false }
    return wanted.scheme == origin.scheme && wanted.hasGoodPort && origin.hasGoodPort
      && (wanted.port ?? wanted.defaultPort) == (origin.port ?? origin.defaultPort)
      && Self.isSame(origin.host, wanted.host)
  }

  /// A leading dot stands for the domain itself and everything below it.
  private static func isSame(_ host: String, _ pattern: String) -> Bool {
    guard pattern.hasPrefix(".") else { return host == pattern }
    return host == pattern.dropFirst() || host.hasSuffix(pattern)
  }

  /// What the log says of a refused origin.
  ///
  /// - Parameter host: the host that the origin was compared with.
  package static func facts(origin: String?, host: String) -> [String: String] {
    var facts = ["origin": origin ?? "none", "host": host]
    facts["hint"] = hint(for: origin)
    return facts
  }

  /// What to write in the configuration for a client whose origin was refused; nil for an origin that no pattern can name.
  private static func hint(for origin: String?) -> String? {
    guard let origin else {
      return "browsers send an Origin; to let other programs in as well, write allowed_hosts: [\"*\"]"
    }
    guard origin.utf8.count <= longestInHint, origin.contains("://"), !origin.contains("\""),
      fault(of: origin) == nil
    else { return nil }
    return
      "if pages of this origin may connect, write allowed_hosts: [\"\(origin)\"], and with it all other origins that may"
  }

  /// Longer origins are not repeated in a hint. Bytes.
  private static let longestInHint = 200

  /// Why Django's rules never match a pattern; nil if the pattern is good.
  static func fault(of pattern: String) -> (message: String, hint: String?)? {
    if pattern == "*" { return nil }
    if let schemeEnd = pattern.firstRange(of: "://") {
      let rest = pattern[schemeEnd.upperBound...]
      if rest.contains("*") {
        let domain = rest.drop { $0 == "*" || $0 == "." }
        let scheme = pattern[..<schemeEnd.upperBound]
        return (
          "\"*\" can only stand alone",
          domain.isEmpty || domain.contains("*")
            ? "write \"*\" alone for every origin, or \"\(scheme).example.com\" for a domain and all below it"
            : "write a leading dot: \(scheme).\(domain)"
        )
      }
      if rest.contains("/") { return ("an origin cannot have a path", "remove what follows the host") }
      guard let origin = Origin(pattern), !origin.host.isEmpty, origin.hasGoodPort else {
        return ("this is not an origin", "write https://example.com")
      }
      return nil
    }
    if pattern.hasPrefix("*.") {
      return ("\"*\" cannot stand for a part of a name", "write \"\(pattern.dropFirst())\"")
    }
    if pattern.contains("*") {
      return ("\"*\" can only stand alone", "write \"*\" alone for every origin, or name each host")
    }
    if pattern.contains("/") {
      return ("expected a host name or a whole origin", "write https://example.com or example.com")
    }
    let isAddress = pattern.hasPrefix("[") && pattern.hasSuffix("]")
    if !isAddress, pattern.contains(":") {
      return (
        "a host with a port but without a scheme never matches",
        "write \"http://\(pattern)\" or \"https://\(pattern)\""
      )
    }
    return nil
  }
}

/// The parts of an origin that are compared, in lower case.
private struct Origin {
  var scheme: String
  var host: String
  var port: Int?
  /// False if the text in place of the port is not a port. Django looks at it only if it compares ports.
  var hasGoodPort = true

  /// `scheme://host:port`, or `//host:port`. User, path and everything after them are ignored. Nil without a host, as in
  /// `x//host`, which is a path.
  init?(_ text: String) {
    let lower = text.lowercased()
    guard let start = lower.firstRange(of: "//"), Self.isBeforeHost(lower[..<start.lowerBound]) else {
      return nil
    }
    scheme = String(lower[..<start.lowerBound].dropLast())
    var authority = lower[start.upperBound...].prefix { $0 != "/" && $0 != "?" && $0 != "#" }
    if let user = authority.lastIndex(of: "@") { authority = authority[authority.index(after: user)...] }
    let bracket = authority.hasPrefix("[") ? authority.firstIndex(of: "]") : nil
    let hostEnd = bracket.map(authority.index(after:)) ?? authority.firstIndex(of: ":") ?? authority.endIndex
    host = String(authority[..<hostEnd])
    let rest = authority[hostEnd...]
    if rest.count > 1 {
      port = rest.hasPrefix(":") ? UInt16(digits: rest.dropFirst()).map(Int.init) : nil
      hasGoodPort = port != nil
    }
  }

  /// Whether the text is empty, or a scheme with its colon (RFC 3986 section 3.1).
  private static func isBeforeHost(_ text: Substring) -> Bool {
    guard let first = text.utf8.first else { return true }
    return text.hasSuffix(":") && first.isLowercaseLetter
      && text.dropLast().utf8.allSatisfy { $0.isLowercaseLetter || $0.isDigit || "+-.".utf8.contains($0) }
  }

  /// The default port of the scheme, if it has one.
  var defaultPort: Int? {
    switch scheme {
    case "http", "ws": 80
    case "https", "wss": 443
    default: nil
    }
  }
}
