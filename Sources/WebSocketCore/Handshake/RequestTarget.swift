/// The target of a request, in the forms that RFC 9112 section 3.2 knows.
package enum RequestTarget {
  package struct Fault: Error, Equatable {
    /// Behind "the request is malformed:".
    package var text: String
  }

  /// Makes a path with its query of an absolute form, whose authority has to be that of `Host` (section 3.2.2: what a target says
  /// wins over `Host`, and a request for another host than the one that was checked is refused). Origin form and `*` stay as they are.
  ///
  /// Not for CONNECT, whose target is an authority.
  ///
  /// - Parameter host: nil where an HTTP/1.0 client sent none.
  package static func originForm(of target: [UInt8], host: String?) -> Result<[UInt8], Fault> {
    guard let first = target.first, first != UInt8(ascii: "/"), target != [UInt8(ascii: "*")] else {
      return .success(target)
    }
    guard let (scheme, start) = scheme(of: target) else {
      return .failure(Fault(text: "the target is no path"))
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

  /// - Returns: the standard port of the scheme, and where the authority begins; nil where there is no scheme that is known here.
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
