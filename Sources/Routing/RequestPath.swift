import Bytes

/// The path of a request as routes match it: percent-decoded UTF-8, without leading slashes.
///
/// Django: `URLRouter` works on the decoded `scope["path"]` and strips all leading slashes.
package struct RequestPath: Sendable, Hashable {
  package enum Fault: Error, Sendable, Hashable {
    /// A `%` without two hexadecimal digits.
    case badPercentEncoding
    case notUTF8
    /// More combining marks in a row than any writing system has, in the path or, decoded, in the query.
    case tooManyMarks
    /// Neither a path nor an absolute URL (RFC 9112 section 3.2).
    case notAPath
  }

  package let bytes: [UInt8]
  /// The text after the first `?`, as the client sent it; nil without a `?`.
  package let query: String?

  package var text: String { String(decoding: bytes, as: UTF8.self) }

  /// Whether a segment of the path is `.` or `..`. A server that normalises its paths removes such segments (RFC 3986 section
  /// 5.2.4), and so serves another path than the one that the routes matched.
  ///
  /// Some servers also read `\` as `/`, and drop the text after a `;` in a segment (RFC 3986 section 3.3) before they
  /// normalise. Both count here.
  package var hasDotSegment: Bool {
    bytes.split(whereSeparator: Self.isEitherSlash).contains { segment in
      let name = segment.prefix { $0 != UInt8(ascii: ";") }
      return (1...2).contains(name.count) && name.allSatisfy { $0 == UInt8(ascii: ".") }
    }
  }

  /// A path that is decoded already.
  package init(text: String) {
    bytes = Array(text.utf8.drop(while: Self.isSlash))
    query = nil
  }

  /// The bytes of a path that `decode` has returned.
  package init(bytes: [UInt8]) {
    self.bytes = bytes
    query = nil
  }

  private init(bytes: [UInt8], query: String?) {
    self.bytes = bytes
    self.query = query
  }

  /// The same path with a slash at its end, or without its last slash.
  var withOtherSlash: RequestPath {
    let slash = UInt8(ascii: "/")
    return RequestPath(bytes: bytes.last == slash ? Array(bytes.dropLast()) : bytes + [slash], query: query)
  }

  /// Reads a request target: `/path?query`, or the absolute form `http://host/path?query`.
  package static func decode(target: [UInt8]) -> Result<RequestPath, Fault> {
    guard let start = pathStart(target) else { return .failure(.notAPath) }
    let end = target[start...].firstIndex(of: UInt8(ascii: "?")) ?? target.endIndex
    let written = Array(target[start..<end].drop(while: isSlash))
    guard var bytes = PercentEncoding.decode(written) else { return .failure(.badPercentEncoding) }
    // Encoded slashes count as slashes.
    if bytes.first.map(isSlash) == true { bytes = Array(bytes.drop(while: isSlash)) }
    let query = end < target.endIndex ? String(decoding: target[(end + 1)...], as: UTF8.self) : nil
    // Most paths are ASCII.
    if bytes.contains(where: { $0 >= 0x80 }) {
      guard let path = String(validating: bytes, as: UTF8.self) else { return .failure(.notUTF8) }
      guard !path.hasTooManyMarks else { return .failure(.tooManyMarks) }
    }
    guard query.map(hasTooManyMarks) != true else { return .failure(.tooManyMarks) }
    return .success(RequestPath(bytes: bytes, query: query))
  }

  /// The end of a target's path in its encoded form.
  ///
  /// - Parameters:
  ///   - target: one that `decode` has accepted.
  ///   - count: the length of the end in decoded bytes; at most that of the whole path.
  package static func encodedEnd(of target: String, decodedBytes count: Int) -> String {
    var bytes = Array(target.utf8.prefix { $0 != UInt8(ascii: "?") })[...]
    var left = bytes.count - bytes.count { $0 == UInt8(ascii: "%") } * 2
    while left > count, let first = bytes.first {
      bytes = bytes.dropFirst(first == UInt8(ascii: "%") ? 3 : 1)
      left -= 1
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The other paths that servers may read this one as, each once: some merge several slashes in a row (nginx), some take `\`
  /// for `/` (IIS), and some drop the text after a `;` in each segment (RFC 3986 section 3.3; servlet containers). A server may
  /// do any of these, so each combination counts.
  ///
  /// Empty for a path without such characters.
  package var otherReadings: [RequestPath] {
    guard mayBeReadOtherwise else { return [] }
    var readings: [[UInt8]] = []
    let parametersRemoved = [
      Self.withoutParameters(bytes, isEnd: Self.isSlash),
      Self.withoutParameters(bytes, isEnd: Self.isEitherSlash),
    ]
    for path in [bytes] + parametersRemoved {
      let separated = path.map { Self.isBackslash($0) ? UInt8(ascii: "/") : $0 }
      for path in [path, Self.withMergedSlashes(path), separated, Self.withMergedSlashes(separated)] {
        let reading = Array(path.drop(while: Self.isSlash))
        if reading != bytes, !readings.contains(reading) { readings.append(reading) }
      }
    }
    return readings.map { RequestPath(bytes: $0, query: query) }
  }

  private var mayBeReadOtherwise: Bool {
    bytes.contains { Self.isBackslash($0) || $0 == UInt8(ascii: ";") }
      || zip(bytes, bytes.dropFirst()).contains { Self.isSlash($0) && Self.isSlash($1) }
  }

  private static func isSlash(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "/") }
  private static func isBackslash(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "\\") }
  private static func isEitherSlash(_ byte: UInt8) -> Bool { isSlash(byte) || isBackslash(byte) }

  private static func withMergedSlashes(_ path: [UInt8]) -> [UInt8] {
    path.indices.filter { !isSlash(path[$0]) || $0 == 0 || !isSlash(path[$0 - 1]) }.map { path[$0] }
  }

  /// - Parameter isEnd: whether a byte ends a segment.
  private static func withoutParameters(_ path: [UInt8], isEnd: (UInt8) -> Bool) -> [UInt8] {
    var isParameter = false
    return path.filter { byte in
      if isEnd(byte) { isParameter = false } else if byte == UInt8(ascii: ";") { isParameter = true }
      return !isParameter
    }
  }

  /// Checks the query both as it is and percent-decoded, because readers of the query compare decoded values.
  private static func hasTooManyMarks(query: String) -> Bool {
    String(decoding: PercentEncoding.decodeLeniently(query.utf8), as: UTF8.self).hasTooManyMarks
  }

  private static func pathStart(_ target: [UInt8]) -> Int? {
    if target.first == UInt8(ascii: "/") { return 0 }
    for scheme in ["http://", "https://", "ws://", "wss://"] where target.starts(with: scheme.utf8) {
      let authority = target[scheme.utf8.count...]
      return authority.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? target.endIndex
    }
    return nil
  }
}
