/// A value that one version of a program writes and another one reads: a sequence of numbered fields.
///
/// A number of a field never gets another meaning. A reader passes over the numbers that it does not know, and takes a field that is
/// missing for its default, so that old and new versions read each other's records.
public protocol Recorded {
  /// Reads the fields until there are no more.
  init(from record: inout RecordReader) throws(RecordedFault)

  func write(to record: inout RecordWriter)
}

/// Writes the fields of a record.
///
/// The form is that of Protocol Buffers: a key, which is the field's number and kind, and its value. Numbers take as few bytes as they
/// need, seven bits in each; bytes and records have their length before them.
///
/// A long record is kept in pieces, so that it is never copied as it grows. Large values are pieces of their own, which share their memory
/// with whoever has them.
public struct RecordWriter: Sendable {
  /// The pieces before the last one.
  private var full: [[UInt8]] = []
  private var fullCount = 0
  private var last: [UInt8] = []

  public init() {}

  /// How many bytes a piece of many values has, and from how many on a value is one. Bytes.
  static let piece = 256 * 1024
  static let large = 16 * 1024

  /// All that was written, as one array.
  public var bytes: [UInt8] { full.isEmpty ? last : Array(pieces.joined()) }

  /// All that was written, in its order.
  public var pieces: [[UInt8]] { full + [last] }

  /// The same, which the writer has no more.
  public mutating func take() -> [[UInt8]] {
    defer { self = RecordWriter() }
    return pieces
  }

  private var count: Int { fullCount + last.count }

  /// The numbers that fields may have.
  public static let fields = 1...1023

  /// A number. Zero is what a missing field stands for, and is not written.
  public mutating func add(_ field: Int, _ number: UInt64) {
    if number > 0 { addAlways(field, number) }
  }

  /// A number, also where it is zero: an element of a list, or a value whose absence says something else.
  public mutating func addAlways(_ field: Int, _ number: UInt64) {
    key(field, .number)
    varint(number)
  }

  /// A whole number that is not negative.
  public mutating func add(_ field: Int, _ number: Int) {
    add(field, UInt64(clamping: number))
  }

  public mutating func add(_ field: Int, _ flag: Bool) {
    if flag { addAlways(field, 1) }
  }

  public mutating func add(_ field: Int, _ number: Double) {
    addAlways(field, number.bitPattern)
  }

  /// Bytes. None are what a missing field stands for.
  public mutating func add(_ field: Int, _ value: [UInt8]) {
    if !value.isEmpty { addAlways(field, value) }
  }

  /// Bytes, also where there are none.
  public mutating func addAlways(_ field: Int, _ value: [UInt8]) {
    if value.count < Self.large { addAlways(field, value.rawBytes) } else { add(field, pieces: [value]) }
  }

  /// Bytes that are in pieces, such as a record that was written elsewhere. They are not copied.
  public mutating func add(_ field: Int, pieces: [[UInt8]]) {
    key(field, .bytes)
    varint(UInt64(pieces.reduce(0) { $0 + $1.count }))
    for piece in [last] + pieces where !piece.isEmpty {
      full.append(piece)
      fullCount += piece.count
    }
    last = []
  }

  /// Bytes, also where there are none.
  public mutating func addAlways(_ field: Int, _ value: RawSpan) {
    key(field, .bytes)
    varint(UInt64(value.byteCount))
    last.append(copying: value)
  }

  public mutating func add(_ field: Int, text: String) {
    if !text.isEmpty { addAlways(field, text: text) }
  }

  public mutating func addAlways(_ field: Int, text: String) {
    key(field, .bytes)
    varint(UInt64(text.utf8.count))
    last.append(text: text)
  }

  /// A record inside of this one, as often as there are values of the field.
  public mutating func add(_ field: Int, _ value: some Recorded) {
    record(field) { value.write(to: &$0) }
  }

  /// A record inside of this one, written by the body.
  public mutating func record(_ field: Int, _ body: (inout RecordWriter) -> Void) {
    key(field, .bytes)
    let (number, place, start) = (full.count, last.count, count)
    // Its length is known afterwards: a number may be written with more bytes than it needs.
    last.append(contentsOf: [0, 0, 0, 0, 0])
    body(&self)
    var length = UInt64(count - start - Self.lengthBytes)
    precondition(length < 1 << (7 * Self.lengthBytes), "a record inside of another has less than 32 GiB")
    for index in 0..<Self.lengthBytes {
      let more: UInt8 = index + 1 < Self.lengthBytes ? 0x80 : 0
      let byte = UInt8(length & 0x7F) | more
      // The piece that it began in may be full by now.
      if number < full.count { full[number][place + index] = byte } else { last[place + index] = byte }
      length >>= 7
    }
  }

  private static let lengthBytes = 5

  private mutating func key(_ field: Int, _ kind: RecordField.Kind) {
    precondition(Self.fields.contains(field), "a field has a number of \(Self.fields)")
    if last.count >= Self.piece { beginPiece() }
    varint(UInt64(field << 1 | kind.rawValue))
  }

  private mutating func beginPiece() {
    full.append(last)
    fullCount += last.count
    last = []
    // Another one of this length, and what the last value exceeds it by.
    last.reserveCapacity(Self.piece + Self.large)
  }

  private mutating func varint(_ number: UInt64) {
    var rest = number
    while rest >= 0x80 {
      last.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    last.append(UInt8(rest))
  }
}
