/// Reads the fields of a record, in the order in which they were written.
///
/// The bytes may be anything: whatever they say, nothing is read outside of them, and nothing is allocated that is larger than they are.
public struct RecordReader: Sendable {
  private let bytes: ArraySlice<UInt8>
  private var position: Int

  public init(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
    position = bytes.startIndex
  }

  public init(_ bytes: [UInt8]) {
    self.init(bytes[...])
  }

  /// - Returns: nil at the end.
  public mutating func next() throws(RecordedFault) -> RecordField? {
    guard position < bytes.endIndex else { return nil }
    let key = try varint()
    guard let number = Int(exactly: key >> 1), RecordWriter.fields.contains(number) else {
      throw RecordedFault("a field has no number")
    }
    switch RecordField.Kind(rawValue: Int(key & 1)) {
    case .bytes:
      let count = try varint()
      guard count <= UInt64(bytes.endIndex - position) else { throw .cutOff }
      let start = position
      position += Int(count)
      return RecordField(number: number, value: .bytes(bytes[start..<position]))
    case .number, nil: return RecordField(number: number, value: .number(try varint()))
    }
  }

  /// Reads one whole record.
  public static func read<Value: Recorded>(
    _ bytes: ArraySlice<UInt8>, as type: Value.Type = Value.self
  ) throws(RecordedFault) -> Value {
    var reader = RecordReader(bytes)
    return try Value(from: &reader)
  }

  private mutating func varint() throws(RecordedFault) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while position < bytes.endIndex {
      let byte = bytes[position]
      position += 1
      // The tenth byte has room for one bit.
      guard shift < 63 || byte <= 1 else { throw RecordedFault("a number has more than 64 bits") }
      value |= UInt64(byte & 0x7F) << shift
      guard byte & 0x80 != 0 else { return value }
      shift += 7
    }
    throw .cutOff
  }
}

/// One field of a record.
public struct RecordField: Sendable, Equatable {
  enum Kind: Int {
    case number = 0
    case bytes = 1
  }

  public enum Value: Sendable, Equatable {
    case number(UInt64)
    case bytes(ArraySlice<UInt8>)
  }

  public var number: Int
  public var value: Value

  public func unsigned() throws(RecordedFault) -> UInt64 {
    guard case .number(let value) = value else { throw RecordedFault("field \(number) is not a number") }
    return value
  }

  /// - Parameter range: of what the number may be; a type that is as large as its values by default.
  public func integer<Number: FixedWidthInteger>(
    as type: Number.Type = Number.self, in range: ClosedRange<Number> = 0 ... .max
  ) throws(RecordedFault) -> Number {
    guard let value = Number(exactly: try unsigned()), range.contains(value) else {
      throw RecordedFault("field \(number) is not a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  /// A moment of the monotonic clock, or how long something takes, in nanoseconds. Any duration can be added to it
  /// (`Duration.wholeNanoseconds`).
  public func time() throws(RecordedFault) -> UInt64 { try integer(in: 0...UInt64(Int64.max)) }

  /// How many there are of something. As many again can be added to it.
  public func count() throws(RecordedFault) -> Int { try integer(in: 0...(Int.max / 2)) }

  public func flag() throws(RecordedFault) -> Bool { try unsigned() != 0 }

  /// A number that is not infinite.
  public func double() throws(RecordedFault) -> Double {
    let value = Double(bitPattern: try unsigned())
    guard value.isFinite else { throw RecordedFault("field \(number) is not a finite number") }
    return value
  }

  public func slice() throws(RecordedFault) -> ArraySlice<UInt8> {
    guard case .bytes(let value) = value else { throw RecordedFault("field \(number) is a number") }
    return value
  }

  public func bytes() throws(RecordedFault) -> [UInt8] { Array(try slice()) }

  public func text() throws(RecordedFault) -> String {
    guard let text = String(validating: try slice(), as: UTF8.self) else {
      throw RecordedFault("field \(number) is not UTF-8")
    }
    return text
  }

  /// The record in the field.
  public func record<Value: Recorded>(as type: Value.Type = Value.self) throws(RecordedFault) -> Value {
    try RecordReader.read(try slice())
  }

  /// The value of an enumeration.
  public func choice<Value: RawRepresentable>(
    of type: Value.Type = Value.self
  ) throws(RecordedFault) -> Value where Value.RawValue == UInt8 {
    guard let value = Value(rawValue: try integer()) else {
      throw RecordedFault("field \(number) has a value that this version does not know")
    }
    return value
  }
}

/// Why a record cannot be read; a few words behind "is not a record: ".
public struct RecordedFault: Error, Sendable, Equatable, CustomStringConvertible {
  public var description: String

  public init(_ description: String) {
    self.description = description
  }

  static let cutOff = RecordedFault("it ends too early")
}
