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
    guard let count = try readLength(of: .map, mark) else { throw .malformed("it is not a map") }
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
    if let count = try readLength(of: .map, mark) { return .json(try readObject(count, depth)) }
    if let count = try readLength(of: .array, mark) {
      var elements: [JSON] = []
      for _ in 0..<count { elements.append(try readJSON(depth: depth + 1)) }
      return .json(.array(elements))
    }
    if let length = try readLength(of: .text, mark) { return .json(.string(try readText(length))) }
    if let length = try readLength(of: .binary, mark) { return .binary(try take(length)) }
    switch mark {
    case 0x00...0x7F: return .json(.integer(Int64(mark)))
    case 0xE0...0xFF: return .json(.integer(Int64(Int8(bitPattern: mark))))
    case 0xC0: return .json(.null)
    case 0xC2: return .json(.bool(false))
    case 0xC3: return .json(.bool(true))
    case 0xCA: return .json(try double(Double(Float(bitPattern: UInt32(try readNumber(bytes: 4))))))
    case 0xCB: return .json(try double(Double(bitPattern: try readNumber(bytes: 8))))
    case 0xCC...0xCF:
      let number = try readNumber(bytes: 1 << (mark - 0xCC))
      return .json(Int64(exactly: number).map(JSON.integer) ?? .unsigned(number))
    case 0xD0...0xD3:
      let length = 1 << Int(mark - 0xD0)
      let unused = 64 - 8 * length
      return .json(.integer(Int64(bitPattern: try readNumber(bytes: length) << unused) >> unused))
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
    guard let length = try readLength(of: .text, readByte()) else {
      throw .malformed("it has a key that is not text")
    }
    let key = try readText(length)
    guard !key.hasTooManyMarks else {
      throw .malformed("it has a key with too many combining marks in a row")
    }
    return key
  }

  // MARK: - Lengths

  /// - Returns: nil if the mark is of another kind.
  private mutating func readLength(of kind: MessagePackLength, _ mark: UInt8) throws(CodecFault) -> Int? {
    if kind.short.contains(mark) { return Int(mark - kind.short.lowerBound) }
    guard kind.long.contains(mark) else { return nil }
    return Int(try readNumber(bytes: 4 >> (kind.long.upperBound - mark)))
  }

  // MARK: - Bytes

  private mutating func readByte() throws(CodecFault) -> UInt8 {
    guard position < bytes.count else { throw .malformed("it ends too early") }
    defer { position += 1 }
    return bytes[position]
  }

  private mutating func readNumber(bytes count: Int) throws(CodecFault) -> UInt64 {
    var number: UInt64 = 0
    for _ in 0..<count { number = number << 8 | UInt64(try readByte()) }
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
