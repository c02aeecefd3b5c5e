import Bytes
import Crypto
package import GatewayConfig
package import Routing
import WebSocketCore

/// One question to a view: everything that its answer can depend on.
struct Question: Sendable {
  /// The path and the query of the request.
  var target: String
  /// All fields of the request, in their order.
  var fields: [HeaderField]

  /// What stands for the question where answers are remembered. It repeats nothing of it, so that no memory holds tokens, and the time
  /// to find it says nothing of them.
  struct Key: Hashable, Sendable {
    private var digest: SHA256Digest

    /// - Parameter parts: in their order. Their lengths count, so that no two questions have the same parts.
    init(_ parts: [String]) {
      var hash = SHA256()
      for part in parts {
        let bytes = OpaqueText.bytes(of: part)
        hash.update(data: (0..<8).map { UInt8(truncatingIfNeeded: bytes.count >> ($0 * 8)) })
        hash.update(data: bytes)
      }
      digest = hash.finalize()
    }
  }

  var key: Key { Key([target] + fields.flatMap { [$0.name, $0.value] }) }
}

extension QuestionConfiguration {
  /// The target of the request, its places filled with captures: each is one percent-encoded segment.
  ///
  /// - Parameter long: the captures that may be several segments.
  /// - Returns: nil if the path would have a segment that is missing, `.` or `..` in any spelling, so that a server could read it as
  ///   another path.
  package func target(for captures: Captures, long: Set<String>) -> String? {
    var isFit = true
    let path = url.path?.filled { name in
      let value = captures[name] ?? ""
      let segments = value.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
      if value.isEmpty || RequestPath(text: value).hasDotSegment { isFit = false }
      if long.contains(name), segments.contains(where: \.isEmpty) { isFit = false }
      return long.contains(name) ? value.percentEncodedPath : value.percentEncodedSegment
    }
    var target = path ?? "/"
    // Two places, or a place behind a ".", may make such a segment together.
    guard isFit, case .success(let read) = RequestPath.decode(target: Array(target.utf8)),
      places.isEmpty || !read.hasDotSegment
    else { return nil }
    if let query {
      target += "?" + query.filled { (captures[$0] ?? "").percentEncodedSegment }
    }
    return target
  }
}
