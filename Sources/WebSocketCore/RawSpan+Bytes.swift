import Bytes

extension RawSpan {
  /// The byte at the offset, with a bounds check.
  subscript(offset: Int) -> UInt8 {
    // Every bit pattern is a valid byte, so loading one within the bounds is safe.
    unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self)
  }

  /// The bytes as text. Bytes that are not UTF-8 are replaced.
  func string(_ range: Range<Int>) -> String {
    // The pointer does not leave the closure, and the string copies.
    unsafe extracting(range).withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
  }

  /// The bytes as text that can be turned back into the same bytes; see `OpaqueText`.
  func opaqueText(_ range: Range<Int>) -> String {
    guard range.contains(where: { self[$0] >= 0x80 }) else { return string(range) }
    return OpaqueText.text([UInt8](copying: extracting(range)))
  }
}

extension [UInt8] {
  /// A copy of the bytes.
  public init(copying bytes: RawSpan) {
    self.init()
    append(copying: bytes)
  }

  public mutating func append(copying bytes: RawSpan) {
    // The pointer does not leave the closure, and the array copies.
    unsafe bytes.withUnsafeBytes { unsafe append(contentsOf: $0) }
  }
}
