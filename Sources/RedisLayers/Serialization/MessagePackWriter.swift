import JSON

/// How MessagePack writes the length of a kind of value: in its mark, or in the bytes after one of some further marks.
struct MessagePackLength {
  /// The marks for the first lengths.
  let short: Range<UInt8>
  /// The last one is for a length in 4 bytes, the one before it for 2 bytes, and the first of three for 1 byte.
  let long: ClosedRange<UInt8>

  static let map = MessagePackLength(short: 0x80..<0x90, long: 0xDE...0xDF)
  static let array = MessagePackLength(short: 0x90..<0xA0, long: 0xDC...0xDD)
  static let text = MessagePackLength(short: 0xA0..<0xC0, long: 0xD9...0xDB)
  static let binary = MessagePackLength(short: 0xC4..<0xC4, long: 0xC4...0xC6)
}

/// Writes MessagePack like Python's `msgpack.packb`: the smallest form of everything, doubles always in 64 bits.
struct MessagePackWriter {
  private(set) var bytes: [UInt8] = []

  mutating func write(_ value: JSON) {
    switch value {
    case .null: bytes.append(0xC0)
    case .bool(let value): bytes.append(value ? 0xC3 : 0xC2)
    case .integer(let value): write(value)
    case .unsigned(let value): write(value)
    case .double(let value):
      bytes.append(0xCB)
      append(value.bitPattern)
    case .string(let text): write(text: text.utf8)
    case .array(let elements):
      write(length: elements.count, of: .array)
      for element in elements { write(element) }
    case .object(let members):
      write(length: members.count, of: .map)
      for member in members {
        write(text: member.key.utf8)
        write(member.value)
      }
    }
  }

  mutating func write(_ value: Int64) {
    switch value {
    case 0...: write(UInt64(value))
    case -32..<0: bytes.append(UInt8(bitPattern: Int8(value)))
    case Int64(Int8.min)...: writeHeader(0xD0, UInt8(bitPattern: Int8(value)))
    case Int64(Int16.min)...: writeHeader(0xD1, UInt16(bitPattern: Int16(value)))
    case Int64(Int32.min)...: writeHeader(0xD2, UInt32(bitPattern: Int32(value)))
    default: writeHeader(0xD3, UInt64(bitPattern: value))
    }
  }

  mutating func write(_ value: UInt64) {
    switch value {
    case ..<0x80: bytes.append(UInt8(value))
    case ..<0x100: writeHeader(0xCC, UInt8(value))
    case ..<0x1_0000: writeHeader(0xCD, UInt16(value))
    case ..<0x1_0000_0000: writeHeader(0xCE, UInt32(value))
    default: writeHeader(0xCF, value)
    }
  }

  /// The text must be UTF-8.
  mutating func write(text: some Collection<UInt8>) {
    write(length: text.count, of: .text)
    bytes.append(contentsOf: text)
  }

  mutating func write(binary: [UInt8]) {
    write(length: binary.count, of: .binary)
    bytes.append(contentsOf: binary)
  }

  /// Writes what comes before the bytes, elements or entries of a value.
  mutating func write(length: Int, of kind: MessagePackLength) {
    switch length {
    case ..<kind.short.count: bytes.append(kind.short.lowerBound + UInt8(length))
    case ..<0x100 where kind.long.count == 3: writeHeader(kind.long.lowerBound, UInt8(length))
    case ..<0x1_0000: writeHeader(kind.long.upperBound - 1, UInt16(length))
    default: writeHeader(kind.long.upperBound, UInt32(length))
    }
  }

  /// Appends an encoded value.
  mutating func append(_ written: [UInt8]) {
    bytes.append(contentsOf: written)
  }

  private mutating func writeHeader(_ mark: UInt8, _ number: some FixedWidthInteger & UnsignedInteger) {
    bytes.append(mark)
    append(number)
  }

  private mutating func append(_ number: some FixedWidthInteger & UnsignedInteger) {
    for shift in stride(from: number.bitWidth - 8, through: 0, by: -8) {
      bytes.append(UInt8(truncatingIfNeeded: number >> shift))
    }
  }
}
