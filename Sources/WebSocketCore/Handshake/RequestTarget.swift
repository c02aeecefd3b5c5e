/// The target of a request, in the forms of RFC 9112 section 3.2.
package enum RequestTarget {
  package struct Fault: Error, Equatable {
    /// The text after "the request is malformed:".
    package var text: String
  }

  /// Reduces the absolute form to its path and query. Its authority has to match `Host`: by section 3.2.2 a target takes
  /// precedence over `Host`, and a request for another host than the checked one is refused. Origin form and `*` are returned
  /// unchanged.
  ///
  /// Not for CONNECT, whose target is an authority.
  ///
  /// - Parameter host: nil if an HTTP/1.0 client sent none.
  package static func originForm(of target: [UInt8], host: String?) -> Result<[UInt8], Fault> {
    guard let first = target.first, first != UInt8(ascii: "/"), target != [UInt8(ascii: "*")] else {
      return .success(target)
    }
    guard let (scheme, start) = scheme(of: target) else {
      return .failure(Fault(text: "the target is not a path"))
    }
    let end =
      target[start...].firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? target.endIndex
    let authority = String(decoding: target[start..<end], as: UTF8.self)
    guard !authority.isEmpty, !authority.utf8.contains(UInt8(ascii: "@")) else {
      return .failure(Fault(text: "the authority of the target is not a host and a port"))
    }
    if let host, canonical(host, scheme) != canonical(authority, scheme) {
      return .failure(Fault(text: "the target is for another host than the Host header"))
    }
    let rest = target[end...]
    guard rest.first != UInt8(ascii: "/") else { return .success(Array(rest)) }
    return .success([UInt8(ascii: "/")] + rest)
  }

  private static let schemes = [("http", "80"), ("https", "443"), ("ws", "80"), ("wss", "443")]

  /// - Returns: the standard port of the scheme, and the offset of the authority; nil if the scheme is not supported.
  private static func scheme(of target: [UInt8]) -> (port: String, start: Int)? {
    for (name, port) in schemes where target.count > name.utf8.count + 3 {
      let length = name.utf8.count
      let word = String(decoding: target[..<length], as: UTF8.self).lowercased()
      if word == name, target[length...].starts(with: "://".utf8) { return (port, length + 3) }
    }
    return nil
  }

  private static func canonical(_ authority: String, _ port: String) -> [UInt8] {
    let text = authority.lowercased()
    return Array((text.hasSuffix(":" + port) ? String(text.dropLast(port.count + 1)) : text).utf8)
  }
}
