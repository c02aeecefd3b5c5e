import Bytes

/// The head of a request with a body, to know it again when another request begins with the same bytes, but for the digits of its
/// `Content-Length`. Programs send such heads: everything that was found out about the first one holds for the others, except for the
/// length of the body.
package struct RepeatedHead: Sendable {
  /// What the head was read as, without its `Content-Length`.
  package let request: RequestHead
  private let bytes: [UInt8]
  /// The digits of `Content-Length` among the bytes.
  private let digits: Range<Int>

  /// A longer head is not kept. Bytes.
  package static let longest = 2048
  /// A longer number is read in the usual way.
  private static let mostDigits = 9

  /// - Parameters:
  ///   - request: what was read from the bytes.
  ///   - bytes: the whole head, and nothing else.
  /// - Returns: nil for a head that is too long, that does not begin with the first byte, or that announces its body in another way or
  ///   with a longer number.
  package init?(_ request: RequestHead, _ bytes: RawSpan) {
    guard bytes.byteCount <= Self.longest, bytes.byteCount > 0, Token.has(bytes[0]),
      case .length(let body)? = try? request.bodyFraming(), let digits = Self.digits(of: bytes)
    else { return nil }
    self.request = RequestHead(
      method: request.method, target: request.target, minorVersion: request.minorVersion,
      fields: request.fields.filter { !$0.isNamed(Self.lengthField) })
    self.bytes = [UInt8](copying: bytes)
    self.digits = digits
    // A number with more digits is not read to its end.
    guard read(bytes)?.body == body else { return nil }
  }

  private static let lengthField = "content-length"

  /// The digits of the only `Content-Length` of a valid head.
  private static func digits(of bytes: RawSpan) -> Range<Int>? {
    var line = 0
    while let end = bytes.offset(of: UInt8(ascii: "\n"), from: line) {
      line = end + 1
      let text = bytes.extracting(droppingFirst: line).string
      guard text.beginsIgnoringCase(with: lengthField + ":") else { continue }
      var start = line + lengthField.utf8.count + 1
      while start < bytes.byteCount, !bytes[start].isDigit { start += 1 }
      let last = endOfDigits(bytes, from: start)
      return start < last ? start..<last : nil
    }
    return nil
  }

  /// At most as far as the digits of a number that is short enough.
  private static func endOfDigits(_ bytes: RawSpan, from start: Int) -> Int {
    var end = start
    while end < bytes.byteCount, end - start < mostDigits, bytes[end].isDigit { end += 1 }
    return end
  }

  /// Reads the head at the start of the bytes, if it is this one.
  ///
  /// The time that it takes does not depend on what a different head has in common with this one, which may contain a token.
  ///
  /// - Returns: the length of the head, and that of the body.
  package func read(_ other: RawSpan) -> (length: Int, body: Int)? {
    guard other.byteCount > digits.lowerBound else { return nil }
    let end = Self.endOfDigits(other, from: digits.lowerBound)
    let length = end + bytes.count - digits.upperBound
    guard end > digits.lowerBound, length <= other.byteCount else { return nil }
    let known = bytes.rawBytes
    let begins = known.extracting(..<digits.lowerBound)
      .isEqualInConstantTime(to: other.extracting(..<digits.lowerBound))
    let ends = known.extracting(digits.upperBound...).isEqualInConstantTime(
      to: other.extracting(end..<length))
    guard begins, ends else { return nil }
    var body = 0
    for place in digits.lowerBound..<end { body = body * 10 + Int(other[place] - UInt8(ascii: "0")) }
    return (length, body)
  }
}
