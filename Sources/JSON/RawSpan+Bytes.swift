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
}
