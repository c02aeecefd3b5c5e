// Views of bytes, and reads of them. They are safe to use: every bit pattern is a byte or an integer, a view lives no longer than
// its bytes, and offsets are checked. Other files use these instead of `unsafe` of their own.

extension RawSpan {
  /// The byte at the offset, with a bounds check.
  @inlinable @inline(__always)
  public subscript(offset: Int) -> UInt8 {
    unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self)
  }

  /// The integer that begins at the offset, in the machine's byte order, with a bounds check.
  @inlinable @inline(__always)
  public func integer<Value: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: Value.Type)
    -> Value
  {
    unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: type)
  }

  /// Whether the first bytes are these.
  @inlinable
  public func begins(with start: StaticString) -> Bool {
    let start = start.rawBytes
    return byteCount >= start.byteCount && (0..<start.byteCount).allSatisfy { self[$0] == start[$0] }
  }

  /// Skips bytes up to the first one that is looked for, eight at a time.
  ///
  /// - Parameter marks: for eight bytes, the first of them lowest, a number in which the top bit of a byte is set if that byte is
  ///   looked for. Only the lowest of these bits counts.
  /// - Returns: the offset of the byte, or, if less than eight bytes are left before it, of these.
  @inlinable @inline(__always)
  public func skipWords(from start: Int, until marks: (UInt64) -> UInt64) -> Int {
    precondition(start >= 0)
    var offset = start
    let last = byteCount - 8
    while offset <= last {
      let word = unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self)
      let found = marks(UInt64(littleEndian: word)) & 0x8080_8080_8080_8080
      guard found == 0 else { return offset + found.trailingZeroBitCount / 8 }
      offset &+= 8
    }
    return offset
  }

  /// The offset of the first such byte from an offset on; nil if there is none. Eight bytes are looked at at a time.
  @inlinable
  public func offset(of byte: UInt8, from start: Int = 0) -> Int? {
    let each: UInt64 = 0x0101_0101_0101_0101
    let all = each &* UInt64(byte)
    var offset = skipWords(from: start) { word in ((word ^ all) &- each) & ~(word ^ all) }
    while offset < byteCount {
      if self[offset] == byte { return offset }
      offset += 1
    }
    return nil
  }

  /// Skips printable ASCII up to the first other byte, eight at a time; see `skipWords`.
  @inlinable
  public func skipPrintable(from start: Int) -> Int {
    let each: UInt64 = 0x0101_0101_0101_0101
    // Below 0x20, from 0x80 on, and 0x7F.
    return skipWords(from: start) { word in (word &- 0x20 * each) & ~word | word | (word &+ each) }
  }

  /// Where a text stands first from an offset on; nil if it does not. `firstRange(of:)` of the standard library takes some 2,000
  /// instructions for each byte.
  ///
  /// - Parameter text: not empty.
  public func range(of text: StaticString, from start: Int = 0) -> Range<Int>? {
    let text = text.rawBytes
    var next = start
    while let offset = offset(of: text[0], from: next), offset <= byteCount - text.byteCount {
      if (1..<text.byteCount).allSatisfy({ self[offset + $0] == text[$0] }) {
        return offset..<(offset + text.byteCount)
      }
      next = offset + 1
    }
    return nil
  }

  /// Whether both have the same bytes. It takes as long for different bytes as for equal ones, so that the time says nothing of a secret
  /// among them.
  public func isEqualInConstantTime(to other: RawSpan) -> Bool {
    guard byteCount == other.byteCount else { return false }
    var difference: UInt64 = 0
    var offset = 0
    while offset + 8 <= byteCount {
      difference |= integer(at: offset, as: UInt64.self) ^ other.integer(at: offset, as: UInt64.self)
      offset += 8
    }
    while offset < byteCount {
      difference |= UInt64(self[offset] ^ other[offset])
      offset += 1
    }
    return difference == 0
  }

  /// Whether the bytes behind the first one of a character complete it.
  ///
  /// - Parameters:
  ///   - lead: of a character that is not ASCII.
  ///   - start: the offset of its first byte. All its bytes must be there.
  @inlinable @inline(__always)
  public func completes(_ lead: UTF8Lead, at start: Int) -> Bool {
    precondition(start >= 0 && Int(lead.length) <= byteCount - start)
    func byte(_ offset: Int) -> UInt8 {
      unsafe unsafeLoad(fromUncheckedByteOffset: start &+ offset, as: UInt8.self)
    }
    guard lead.length > 1, byte(1) >= lead.lowest, byte(1) <= lead.highest else { return false }
    return (lead.length < 3 || byte(2).continuesCharacter) && (lead.length < 4 || byte(3).continuesCharacter)
  }

  /// The bytes as text. Bytes that are not UTF-8 are replaced.
  @inlinable
  public func string(_ range: Range<Int>) -> String {
    // The pointer does not leave the closure, and the string copies.
    unsafe extracting(range).withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
  }

  /// All bytes as text. Bytes that are not UTF-8 are replaced.
  @inlinable
  public var string: String { string(0..<byteCount) }

  /// The bytes as text that can be turned back into the same bytes; see `OpaqueText`.
  public func opaqueText(_ range: Range<Int>) -> String {
    guard range.contains(where: { self[$0] >= 0x80 }) else { return string(range) }
    return OpaqueText.text([UInt8](copying: extracting(range)))
  }
}

extension [UInt8] {
  /// A copy of the bytes.
  @inlinable
  public init(copying bytes: RawSpan) {
    // The pointer does not leave the closure, and the array copies.
    self = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
  }

  @inlinable
  public mutating func append(copying bytes: RawSpan) {
    // The pointer does not leave the closure, and the array copies.
    unsafe bytes.withUnsafeBytes { unsafe append(contentsOf: $0) }
  }

  /// Appends the UTF-8 of a text, in one step. To append its `utf8` takes three times as many instructions.
  public mutating func append(text: String) {
    unsafe append(copying: text.utf8Span.span.bytes)
  }

  /// The bytes of the array, without a copy.
  @inlinable
  public var rawBytes: RawSpan {
    @_lifetime(borrow self) get {
      let bytes = unsafe span.bytes
      return unsafe _overrideLifetime(bytes, borrowing: self)
    }
  }

  /// The bytes of the array, to be changed in place.
  @inlinable
  public var mutableRawBytes: MutableRawSpan {
    @_lifetime(&self) mutating get {
      // The array is not used while the view of it lives.
      let place = unsafe withUnsafeMutableBytes { unsafe $0 }
      let bytes = unsafe MutableRawSpan(_unsafeBytes: place)
      return unsafe _overrideLifetime(bytes, mutating: &self)
    }
  }
}

extension String {
  /// Whether all characters are printable ASCII, or spaces. To ask its `utf8` takes five times as many instructions.
  public var isPrintableASCII: Bool {
    let bytes = unsafe utf8Span.span.bytes
    var offset = bytes.skipPrintable(from: 0)
    while offset < bytes.byteCount {
      guard (0x20...0x7E).contains(bytes[offset]) else { return false }
      offset += 1
    }
    return true
  }
}

extension StaticString {
  /// The UTF-8 of the text, which lives as long as the process. Not for a text that is a single `Unicode.Scalar` literal.
  @inlinable
  public var rawBytes: RawSpan {
    @_lifetime(immortal) get {
      let bytes = unsafe RawSpan(_unsafeStart: utf8Start, byteCount: utf8CodeUnitCount)
      return unsafe _overrideLifetime(bytes, copying: ())
    }
  }
}
