import JSON

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
      writeArrayHeader(elements.count)
      for element in elements { write(element) }
    case .object(let members):
      writeMapHeader(members.count)
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
    switch text.count {
    case ..<32: bytes.append(0xA0 | UInt8(text.count))
    case ..<0x100: writeHeader(0xD9, UInt8(text.count))
    case ..<0x1_0000: writeHeader(0xDA, UInt16(text.count))
    default: writeHeader(0xDB, UInt32(text.count))
    }
    bytes.append(contentsOf: text)
  }

  mutating func write(binary: [UInt8]) {
    switch binary.count {
    case ..<0x100: writeHeader(0xC4, UInt8(binary.count))
    case ..<0x1_0000: writeHeader(0xC5, UInt16(binary.count))
    default: writeHeader(0xC6, UInt32(binary.count))
    }
    bytes.append(contentsOf: binary)
  }

  mutating func writeMapHeader(_ count: Int) {
    switch count {
    case ..<16: bytes.append(0x80 | UInt8(count))
    case ..<0x1_0000: writeHeader(0xDE, UInt16(count))
    default: writeHeader(0xDF, UInt32(count))
    }
  }

  mutating func writeArrayHeader(_ count: Int) {
    switch count {
    case ..<16: bytes.append(0x90 | UInt8(count))
    case ..<0x1_0000: writeHeader(0xDC, UInt16(count))
    default: writeHeader(0xDD, UInt32(count))
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
