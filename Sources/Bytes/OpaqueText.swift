/// Text that may contain bytes that are not UTF-8, in a `String` from which every byte can be restored.
///
/// The values of HTTP fields are bytes of no known encoding (RFC 9110 section 5.5): most are ASCII or UTF-8, some are Latin-1.
/// Sluice reads them as `String`. A byte that is not part of valid UTF-8 becomes one code point of the last private plane,
/// U+10FF80 for 0x80 to U+10FFFF for 0xFF, and becomes the byte again when the text is written to a socket. Bytes that are the
/// UTF-8 of those code points are treated as invalid, so that different bytes never make the same text. Other text is
/// unchanged.
public enum OpaqueText {
  /// Reads bytes as text.
  public static func text(_ bytes: [UInt8]) -> String {
    guard let escaped = escaped(bytes) else { return String(decoding: bytes, as: UTF8.self) }
    return String(decoding: escaped, as: UTF8.self)
  }

  /// The bytes that a text was read from.
  public static func bytes(of text: String) -> [UInt8] {
    let bytes = Array(text.utf8)
    return unescaped(bytes) ?? bytes
  }

  /// - Parameter bytes: complete, so that a sequence which is cut off at the end is invalid.
  /// - Returns: UTF-8 in which invalid bytes are code points; nil if it would be equal to the bytes.
  public static func escaped(_ bytes: some Collection<UInt8>) -> [UInt8]? {
    guard bytes.contains(where: { $0 >= 0x80 }) else { return nil }
    var escaper = Escaper()
    var result = escaper.escape(bytes)
    result += escaper.end()
    return result.count == bytes.count ? nil : result
  }

  /// - Parameter bytes: UTF-8 from `escaped`, or any text around it.
  /// - Returns: nil if it would be equal to the bytes.
  public static func unescaped(_ bytes: some RandomAccessCollection<UInt8>) -> [UInt8]? {
    guard bytes.contains(firstOfEscape) else { return nil }
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    var index = bytes.startIndex
    while index < bytes.endIndex {
      if let byte = escapedByte(bytes[index...]) {
        result.append(byte)
        bytes.formIndex(&index, offsetBy: 4)
      } else {
        result.append(bytes[index])
        bytes.formIndex(after: &index)
      }
    }
    return result.count == bytes.count ? nil : result
  }

  /// The same for an array, of which eight bytes are looked at at a time.
  public static func unescaped(_ bytes: [UInt8]) -> [UInt8]? {
    bytes.rawBytes.offset(of: firstOfEscape) == nil ? nil : unescaped(bytes[...])
  }

  /// The byte that this code point stands for; nil for one that stands for itself.
  public static func byte(of scalar: Unicode.Scalar) -> UInt8? {
    (0x10FF80...0x10FFFF).contains(scalar.value) ? UInt8(truncatingIfNeeded: scalar.value) : nil
  }

  private static let firstOfEscape: UInt8 = 0xF4

  /// The byte for the UTF-8 at the beginning of the bytes; nil if it is not one of these code points.
  private static func escapedByte(_ bytes: some Collection<UInt8>) -> UInt8? {
    var bytes = bytes.makeIterator()
    guard bytes.next() == firstOfEscape, bytes.next() == 0x8F, let third = bytes.next(), third | 1 == 0xBF,
      let last = bytes.next(), last & 0xC0 == 0x80
    else { return nil }
    return 0x80 | (third & 1) << 6 | last & 0x3F
  }

  private static func append(escapeOf byte: UInt8, to result: inout [UInt8]) {
    result += [firstOfEscape, 0x8F, 0xBE | (byte >> 6) & 1, 0x80 | byte & 0x3F]
  }

  /// Escapes bytes that arrive in pieces. A sequence that is cut off at the end of a piece is kept until the next one: three
  /// bytes at most.
  public struct Escaper: Sendable {
    private var sequence: [UInt8] = []

    public init() {}

    /// - Returns: the text of the bytes so far that has not been returned before.
    public mutating func escape(_ bytes: some Collection<UInt8>) -> [UInt8] {
      var result: [UInt8] = []
      result.reserveCapacity(bytes.count + sequence.count)
      for byte in bytes {
        if !sequence.isEmpty, !Self.mayFollow(sequence, byte) { result += end() }
        sequence.append(byte)
        guard sequence.count == Self.length(sequence[0]) else { continue }
        let isValid = byte < 0x80 || sequence.count > 1 && OpaqueText.escapedByte(sequence) == nil
        if isValid {
          result += sequence
          sequence.removeAll(keepingCapacity: true)
        } else {
          result += end()
        }
      }
      return result
    }

    /// Whether nothing is kept for the next piece.
    public var isEmpty: Bool { sequence.isEmpty }

    /// Ends the text. No more bytes follow.
    public mutating func end() -> [UInt8] {
      var result: [UInt8] = []
      for byte in sequence { OpaqueText.append(escapeOf: byte, to: &result) }
      sequence = []
      return result
    }

    /// The length of the sequence that begins with this byte; 1 for a byte that begins none.
    private static func length(_ first: UInt8) -> Int { Int(UTF8Lead(first)?.length ?? 1) }

    /// - Parameter sequence: begins with a byte that others follow.
    private static func mayFollow(_ sequence: [UInt8], _ byte: UInt8) -> Bool {
      guard sequence.count == 1, let lead = UTF8Lead(sequence[0]) else { return byte.continuesCharacter }
      return (lead.lowest...lead.highest).contains(byte)
    }
  }
}
