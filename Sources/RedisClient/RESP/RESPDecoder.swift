import Transport

/// Reads values of RESP2 from bytes as they arrive; nobody asks a server for RESP3. Nothing is read twice, however the bytes are
/// cut.
///
/// Memory for an announced length is only used as the bytes arrive.
struct RESPDecoder {
  struct Limits: Sendable {
    /// The most levels of arrays.
    var depth = 16
    /// Values in one reply, all levels together.
    var elements = 4_000_000
    /// The longest string that is kept; of a longer one only the length is reported. A string exists several times while it is
    /// read, decoded and rendered, so the limit is a small part of the process's memory. Bytes.
    var string = min(64 << 20, Self.memory / 32)
    /// The longest length that a string may announce. Bytes.
    var announcement = 4 << 30
    /// The most memory for values that are still held: the bytes of strings, and `valueSize` for each value. A long string
    /// without room is skipped like one that is too long; too many short ones are a fault.
    var held = min(128 << 20, Self.memory / 16)

    /// The memory of the process. Bytes.
    private static let memory = MemoryLimit.ofProcess().bytes
  }

  /// An array whose elements are arriving.
  struct Open {
    var missing: Int
    var elements: [RESPValue] = []
  }

  /// A string whose bytes are arriving.
  struct OpenString {
    var length: Int
    /// For a string that is not kept: how many of its bytes are still to come.
    var unskipped: Int?
  }

  private static let longestLine = 64 * 1024
  /// Longer strings are skipped if memory is short. Bytes.
  private static let longString = 64 * 1024
  /// Roughly the memory of a value without its bytes.
  private static let valueSize = 64
  /// A larger buffer is freed once it is empty. Bytes.
  private static let largestIdleBuffer = 256 * 1024

  private let limits: Limits
  private(set) var bytes: [UInt8] = []
  private(set) var position = 0
  /// The offset up to which no line end was found.
  private var searched = 0
  private(set) var open: [Open] = []
  private(set) var openString: OpenString?
  private var elements = 0
  private var held = 0
  private(set) var fault: RESPFault?

  init(limits: Limits = Limits()) {
    self.limits = limits
  }

  mutating func append(_ more: some Sequence<UInt8>) {
    guard fault == nil else { return }
    if position > 0, position == bytes.count || position > 64 * 1024 {
      if position == bytes.count, bytes.capacity > Self.largestIdleBuffer {
        bytes = []
      } else {
        bytes.removeFirst(position)
      }
      searched = max(0, searched - position)
      position = 0
    }
    bytes.append(contentsOf: more)
  }

  /// The returned values have been released by the caller, so there is room for more.
  mutating func release() {
    held = 0
  }

  /// - Returns: nil until the next value is complete.
  /// - Throws: after the first fault, at every call.
  mutating func next() throws(RESPFault) -> RESPValue? {
    if let fault { throw fault }
    do throws(RESPFault) {
      while let value = try readValue() {
        guard let whole = complete(value) else { continue }
        elements = 0
        return whole
      }
      return nil
    } catch {
      fault = error
      // Nothing is read any more.
      bytes = []
      open = []
      throw error
    }
  }

  /// Adds a value to the arrays that wait for it. Returns the outermost one if it is complete.
  private mutating func complete(_ value: RESPValue) -> RESPValue? {
    var finished = value
    while let last = open.indices.last {
      open[last].elements.append(finished)
      open[last].missing -= 1
      guard open[last].missing == 0 else { return nil }
      finished = .array(open.removeLast().elements)
    }
    return finished
  }

  /// The next value without elements, after the beginnings of the arrays that it is in; nil while bytes are missing.
  private mutating func readValue() throws(RESPFault) -> RESPValue? {
    if let string = openString { return try readString(string) }
    guard let line = try readLine() else { return nil }
    elements += 1
    guard elements <= limits.elements else {
      throw RESPFault("a reply has more than \(limits.elements) values")
    }
    try hold(Self.valueSize + line.count)
    guard let mark = line.first else { throw RESPFault("a line is empty") }
    let rest = line.dropFirst()
    switch mark {
    case UInt8(ascii: "+"): return .simpleString(Array(rest))
    case UInt8(ascii: "-"): return .error(String(decoding: rest, as: UTF8.self))
    case UInt8(ascii: ":"): return .integer(try integer(rest))
    case UInt8(ascii: "$"): return try beginString(rest)
    case UInt8(ascii: "*"): return try beginArray(rest)
    default: throw RESPFault("the byte \(mark) does not begin a value")
    }
  }

  private mutating func hold(_ size: Int) throws(RESPFault) {
    held += size
    guard held <= limits.held else {
      throw RESPFault("a reply takes more than \(limits.held) bytes")
    }
  }

  // MARK: - Lines

  private mutating func readLine() throws(RESPFault) -> ArraySlice<UInt8>? {
    searched = max(searched, position)
    while searched < bytes.count, bytes[searched] != UInt8(ascii: "\r") { searched += 1 }
    guard searched - position <= Self.longestLine else { throw RESPFault("a line is too long") }
    guard searched + 1 < bytes.count else { return nil }
    guard bytes[searched + 1] == UInt8(ascii: "\n") else { throw RESPFault("a line does not end in CR LF") }
    defer {
      position = searched + 2
      searched = position
    }
    return bytes[position..<searched]
  }

  private func integer(_ digits: ArraySlice<UInt8>) throws(RESPFault) -> Int64 {
    guard let number = Int64(String(decoding: digits, as: UTF8.self)) else {
      throw RESPFault("an integer is malformed")
    }
    return number
  }

  // MARK: - Strings

  private mutating func beginString(_ digits: ArraySlice<UInt8>) throws(RESPFault) -> RESPValue? {
    let length = try integer(digits)
    if length == -1 { return .null }
    guard (0...Int64(limits.announcement)).contains(length) else {
      throw RESPFault("a string announces a length of \(length) bytes")
    }
    let isLong = length > Int64(Self.longString) && Int64(held) + length > Int64(limits.held)
    let isKept = length <= Int64(limits.string) && !isLong
    if isKept { try hold(Int(length)) }
    let string = OpenString(length: Int(length), unskipped: isKept ? nil : Int(length))
    openString = string
    return try readString(string)
  }

  private mutating func readString(_ string: OpenString) throws(RESPFault) -> RESPValue? {
    if let unskipped = string.unskipped { return try skip(unskipped, of: string) }
    let end = position + string.length
    guard try isEnd(end) else { return nil }
    let content = bytes[position..<end]
    position = end + 2
    openString = nil
    return .bulkString(Array(content))
  }

  /// Whether the string ends at this offset; false while bytes are missing.
  private func isEnd(_ end: Int) throws(RESPFault) -> Bool {
    guard bytes.count >= end + 2 else { return false }
    guard bytes[end] == UInt8(ascii: "\r"), bytes[end + 1] == UInt8(ascii: "\n") else {
      throw RESPFault("a string is longer than it announced")
    }
    return true
  }

  /// Skips the bytes of a string that is too long, as they arrive.
  private mutating func skip(_ unskipped: Int, of string: OpenString) throws(RESPFault) -> RESPValue? {
    let here = min(unskipped, bytes.count - position)
    position += here
    openString?.unskipped = unskipped - here
    guard here == unskipped, try isEnd(position) else { return nil }
    position += 2
    openString = nil
    return .oversized(string.length)
  }

  // MARK: - Arrays

  private mutating func beginArray(_ digits: ArraySlice<UInt8>) throws(RESPFault) -> RESPValue? {
    let count = try integer(digits)
    if count == -1 { return .null }
    guard (0...Int64(limits.elements)).contains(count) else {
      throw RESPFault("an aggregate announces \(count) elements")
    }
    guard count > 0 else { return .array([]) }
    guard open.count < limits.depth else {
      throw RESPFault("a reply is nested deeper than \(limits.depth) levels")
    }
    open.append(Open(missing: Int(count)))
    return try readValue()
  }
}
