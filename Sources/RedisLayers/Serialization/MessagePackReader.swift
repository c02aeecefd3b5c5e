import Bytes
import JSON
import Transport

/// Reads MessagePack as strictly as Python's `msgpack.unpackb`: text is UTF-8, keys are text, and nothing follows the value.
///
/// Bounded in depth and in the number of values, and takes time in proportion to the input. Extension types are refused,
/// because Django cannot send one.
struct MessagePackReader {
  /// A value before its conversion to JSON, which cannot express all of them.
  enum Value {
    case json(JSON)
    case binary([UInt8])
  }

  static let deepest = 64
  /// A value takes a byte in the message and some fifty bytes in memory. A message with more values is refused. In a small
  /// container the limit is lower.
  static let mostValues = min(2_000_000, MemoryLimit.ofProcess().bytes / 1024)
  static let mostKeys = 1024

  private let bytes: [UInt8]
  private var position = 0
  private var valuesLeft = mostValues

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }

  /// The entries of the map that makes up the whole input. If a key appears twice, the last entry counts.
  mutating func readEvent() throws(CodecFault) -> [(key: String, value: Value)] {
    let mark = try readByte()
    guard let count = try mapCount(mark) else { throw .malformed("it is not a map") }
    var entries: [(key: String, value: Value)] = []
    var places: [ExactText: Int] = [:]
    for _ in 0..<count {
      let key = try readKey()
      let value = try readValue(depth: 1)
      if let place = places[ExactText(text: key)] {
        entries[place].value = value
      } else {
        // The fields of an event are searched linearly.
        guard entries.count < Self.mostKeys else { throw .malformed("it has too many keys") }
        places[ExactText(text: key)] = entries.count
        entries.append((key, value))
      }
    }
    guard position == bytes.count else { throw .malformed("more data follows the map") }
    return entries
  }

  // MARK: - Values

  private mutating func readValue(depth: Int) throws(CodecFault) -> Value {
    guard depth <= Self.deepest else { throw .malformed("it is nested too deep") }
    valuesLeft -= 1
    guard valuesLeft >= 0 else { throw .malformed("it has more than \(Self.mostValues) values") }
    let mark = try readByte()
    if let count = try mapCount(mark) { return .json(try readObject(count, depth)) }
    if let count = try arrayCount(mark) {
      var elements: [JSON] = []
      for _ in 0..<count { elements.append(try readJSON(depth: depth + 1)) }
      return .json(.array(elements))
    }
    if let length = try textLength(mark) { return .json(.string(try readText(length))) }
    switch mark {
    case 0x00...0x7F: return .json(.integer(Int64(mark)))
    case 0xE0...0xFF: return .json(.integer(Int64(Int8(bitPattern: mark))))
    case 0xC0: return .json(.null)
    case 0xC2: return .json(.bool(false))
    case 0xC3: return .json(.bool(true))
    case 0xC4: return .binary(try take(Int(readNumber(UInt8.self))))
    case 0xC5: return .binary(try take(Int(readNumber(UInt16.self))))
    case 0xC6: return .binary(try take(Int(readNumber(UInt32.self))))
    case 0xCA: return .json(try double(Double(Float(bitPattern: readNumber(UInt32.self)))))
    case 0xCB: return .json(try double(Double(bitPattern: readNumber(UInt64.self))))
    case 0xCC: return .json(.integer(Int64(try readNumber(UInt8.self))))
    case 0xCD: return .json(.integer(Int64(try readNumber(UInt16.self))))
    case 0xCE: return .json(.integer(Int64(try readNumber(UInt32.self))))
    case 0xCF:
      let number = try readNumber(UInt64.self)
      return .json(Int64(exactly: number).map(JSON.integer) ?? .unsigned(number))
    case 0xD0: return .json(.integer(Int64(Int8(bitPattern: try readNumber(UInt8.self)))))
    case 0xD1: return .json(.integer(Int64(Int16(bitPattern: try readNumber(UInt16.self)))))
    case 0xD2: return .json(.integer(Int64(Int32(bitPattern: try readNumber(UInt32.self)))))
    case 0xD3: return .json(.integer(Int64(bitPattern: try readNumber(UInt64.self))))
    default: throw .malformed("it has a value of an unknown kind")
    }
  }

  /// Bytes inside a value become base64 text, because JSON cannot carry bytes.
  private mutating func readJSON(depth: Int) throws(CodecFault) -> JSON {
    switch try readValue(depth: depth) {
    case .json(let value): value
    case .binary(let bytes): .string(Base64.encode(bytes))
    }
  }

  private mutating func readObject(_ count: Int, _ depth: Int) throws(CodecFault) -> JSON {
    var members: [JSON.Member] = []
    var places: [ExactText: Int] = [:]
    for _ in 0..<count {
      let key = try readKey()
      let value = try readJSON(depth: depth + 1)
      if let place = places[ExactText(text: key)] {
        members[place].value = value
      } else {
        places[ExactText(text: key)] = members.count
        members.append(.init(key: key, value: value))
      }
    }
    return .object(members)
  }

  /// JSON cannot express numbers that are not finite.
  private func double(_ value: Double) throws(CodecFault) -> JSON {
    guard value.isFinite else { throw .malformed("it has a number that is not finite") }
    return .double(value)
  }

  private mutating func readKey() throws(CodecFault) -> String {
    guard let length = try textLength(try readByte()) else {
      throw .malformed("it has a key that is not text")
    }
    let key = try readText(length)
    guard !key.hasTooManyMarks else {
      throw .malformed("it has a key with too many combining marks in a row")
    }
    return key
  }

  // MARK: - Lengths

  private mutating func mapCount(_ mark: UInt8) throws(CodecFault) -> Int? {
    switch mark {
    case 0x80...0x8F: Int(mark & 0x0F)
    case 0xDE: Int(try readNumber(UInt16.self))
    case 0xDF: Int(try readNumber(UInt32.self))
    default: nil
    }
  }

  private mutating func arrayCount(_ mark: UInt8) throws(CodecFault) -> Int? {
    switch mark {
    case 0x90...0x9F: Int(mark & 0x0F)
    case 0xDC: Int(try readNumber(UInt16.self))
    case 0xDD: Int(try readNumber(UInt32.self))
    default: nil
    }
  }

  private mutating func textLength(_ mark: UInt8) throws(CodecFault) -> Int? {
    switch mark {
    case 0xA0...0xBF: Int(mark & 0x1F)
    case 0xD9: Int(try readNumber(UInt8.self))
    case 0xDA: Int(try readNumber(UInt16.self))
    case 0xDB: Int(try readNumber(UInt32.self))
    default: nil
    }
  }

  // MARK: - Bytes

  private mutating func readByte() throws(CodecFault) -> UInt8 {
    guard position < bytes.count else { throw .malformed("it ends too early") }
    defer { position += 1 }
    return bytes[position]
  }

  private mutating func readNumber<Number: FixedWidthInteger & UnsignedInteger>(
    _ type: Number.Type
  ) throws(CodecFault) -> Number {
    var number: Number = 0
    for _ in 0..<(Number.bitWidth / 8) {
      number = Number(truncatingIfNeeded: UInt64(number) << 8) | Number(try readByte())
    }
    return number
  }

  private mutating func take(_ length: Int) throws(CodecFault) -> [UInt8] {
    guard bytes.count - position >= length else { throw .malformed("it ends too early") }
    defer { position += length }
    return Array(bytes[position..<(position + length)])
  }

  private mutating func readText(_ length: Int) throws(CodecFault) -> String {
    guard let text = String(validating: try take(length), as: UTF8.self) else {
      throw .malformed("it has a text that is not UTF-8")
    }
    return text
  }
}
