import Transport

/// Reads values from bytes as they arrive. Nothing is read twice, however the bytes are cut.
///
/// Memory for an announced length is only used as the bytes arrive.
package struct RESPDecoder {
  package struct Limits: Sendable {
    /// The most levels of aggregates.
    package var depth = 16
    /// Values in one reply, all levels together.
    package var elements = 4_000_000
    /// The longest string that is kept; of a longer one only the length is reported. A string exists several times while it is
    /// read, decoded and rendered, so the limit is a small part of the process's memory. Bytes.
    package var string = min(64 << 20, Self.memory / 32)
    /// The longest length that a string may announce. Bytes.
    package var announcement = 4 << 30
    /// The most memory for values that are still held: the bytes of strings, and `valueSize` for each value. A long string
    /// without room is skipped like one that is too long; too many short ones are a fault.
    package var held = min(128 << 20, Self.memory / 16)

    /// The memory of the process. Bytes.
    private static let memory = MemoryLimit.ofProcess().bytes

    package init() {}
  }

  /// An aggregate whose elements are arriving.
  private struct Open {
    var kind: Kind
    var missing: Int
    var elements: [RESPValue] = []
  }

  private enum Kind {
    case array, map, set, push
    /// Information about the next value. Read and dropped.
    case attribute
  }

  /// A string whose bytes are arriving.
  private struct OpenString {
    var length: Int
    var kind: StringKind
    /// For a string that is not kept: how many of its bytes are still to come.
    var unskipped: Int?
  }

  private enum StringKind {
    case bulk, error, verbatim
  }

  private static let longestLine = 64 * 1024
  /// Longer strings are skipped if memory is short. Bytes.
  private static let longString = 64 * 1024
  /// Roughly the memory of a value without its bytes.
  private static let valueSize = 64
  /// A larger buffer is freed once it is empty. Bytes.
  private static let largestIdleBuffer = 256 * 1024

  private let limits: Limits
  private var bytes: [UInt8] = []
  private var position = 0
  /// The offset up to which no line end was found.
  private var searched = 0
  private var open: [Open] = []
  private var openString: OpenString?
  private var elements = 0
  private var held = 0
  private var fault: RESPFault?

  package init(limits: Limits = Limits()) {
    self.limits = limits
  }

  package mutating func append(_ more: some Sequence<UInt8>) {
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
  package mutating func release() {
    held = 0
  }

  /// - Returns: nil until the next value is complete.
  /// - Throws: after the first fault, at every call.
  package mutating func next() throws(RESPFault) -> RESPValue? {
    if let fault { throw fault }
    do throws(RESPFault) {
      while let value = try readPart() {
        if let whole = try complete(value) {
          elements = 0
          return whole
        }
      }
      return nil
    } catch {
      fault = error
      bytes = []
      position = 0
      searched = 0
      open = []
      openString = nil
      throw error
    }
  }

  /// Adds a value to the aggregates that wait for it.
  ///
  /// - Returns: the outermost value if it is complete; nil otherwise.
  private mutating func complete(_ value: Part) throws(RESPFault) -> RESPValue? {
    var finished: RESPValue
    switch value {
    case .value(let value): finished = value
    case .opened: return nil
    case .attributeOver: return nil
    }
    while let last = open.indices.last {
      open[last].elements.append(finished)
      open[last].missing -= 1
      guard open[last].missing == 0 else { return nil }
      let done = open.removeLast()
      switch done.kind {
      case .array: finished = .array(done.elements)
      case .map: finished = .map(done.elements)
      case .set: finished = .set(done.elements)
      case .push: finished = .push(done.elements)
      case .attribute: return nil
      }
    }
    return finished
  }

  private enum Part {
    case value(RESPValue)
    /// An aggregate has begun.
    case opened
    /// An attribute without content.
    case attributeOver
  }

  /// One value without elements, or the beginning of an aggregate; nil while bytes are missing.
  private mutating func readPart() throws(RESPFault) -> Part? {
    if let string = openString { return try readString(string).map(Part.value) }
    guard let line = try readLine() else { return nil }
    elements += 1
    guard elements <= limits.elements else {
      throw RESPFault("a reply has more than \(limits.elements) values")
    }
    try hold(Self.valueSize + line.count)
    guard let mark = line.first else { throw RESPFault("a line is empty") }
    let rest = line.dropFirst()
    switch mark {
    case UInt8(ascii: "+"): return .value(.simpleString(Array(rest)))
    case UInt8(ascii: "-"): return .value(.error(String(decoding: rest, as: UTF8.self)))
    case UInt8(ascii: ":"): return .value(.integer(try integer(rest)))
    case UInt8(ascii: "_"): return .value(.null)
    case UInt8(ascii: "#"): return .value(.boolean(rest.first == UInt8(ascii: "t")))
    case UInt8(ascii: ","): return .value(.double(try double(rest)))
    case UInt8(ascii: "("): return .value(.bulkString(Array(rest)))
    case UInt8(ascii: "$"): return try begin(.bulk, rest)
    case UInt8(ascii: "!"): return try begin(.error, rest)
    case UInt8(ascii: "="): return try begin(.verbatim, rest)
    case UInt8(ascii: "*"): return try begin(.array, rest, each: 1)
    case UInt8(ascii: "~"): return try begin(.set, rest, each: 1)
    case UInt8(ascii: ">"): return try begin(.push, rest, each: 1)
    case UInt8(ascii: "%"): return try begin(.map, rest, each: 2)
    case UInt8(ascii: "|"): return try begin(.attribute, rest, each: 2)
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

  private func double(_ digits: ArraySlice<UInt8>) throws(RESPFault) -> Double {
    guard let number = Double(String(decoding: digits, as: UTF8.self)) else {
      throw RESPFault("a number is malformed")
    }
    return number
  }

  // MARK: - Strings

  private mutating func begin(_ kind: StringKind, _ digits: ArraySlice<UInt8>) throws(RESPFault) -> Part? {
    let length = try integer(digits)
    if length == -1, kind == .bulk { return .value(.null) }
    guard (0...Int64(limits.announcement)).contains(length) else {
      throw RESPFault("a string announces a length of \(length) bytes")
    }
    let isLong = length > Int64(Self.longString) && Int64(held) + length > Int64(limits.held)
    let isKept = length <= Int64(limits.string) && !isLong
    if isKept { try hold(Int(length)) }
    let string = OpenString(length: Int(length), kind: kind, unskipped: isKept ? nil : Int(length))
    openString = string
    return try readString(string).map(Part.value)
  }

  private mutating func readString(_ string: OpenString) throws(RESPFault) -> RESPValue? {
    if let unskipped = string.unskipped { return try skip(unskipped, of: string) }
    let end = position + string.length
    guard try isEnd(end) else { return nil }
    let content = bytes[position..<end]
    position = end + 2
    openString = nil
    switch string.kind {
    case .bulk: return .bulkString(Array(content))
    case .error: return .error(String(decoding: content, as: UTF8.self))
    // Three letters of a format, and a colon.
    case .verbatim: return .bulkString(Array(content.dropFirst(4)))
    }
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

  // MARK: - Aggregates

  private mutating func begin(
    _ kind: Kind, _ digits: ArraySlice<UInt8>, each: Int
  ) throws(RESPFault) -> Part {
    let count = try integer(digits)
    if count == -1, kind == .array { return .value(.null) }
    guard count >= 0, count <= Int64(limits.elements / each) else {
      throw RESPFault("an aggregate announces \(count) elements")
    }
    guard count > 0 else {
      switch kind {
      case .array: return .value(.array([]))
      case .map: return .value(.map([]))
      case .set: return .value(.set([]))
      case .push: return .value(.push([]))
      case .attribute: return .attributeOver
      }
    }
    guard open.count < limits.depth else {
      throw RESPFault("a reply is nested deeper than \(limits.depth) levels")
    }
    open.append(Open(kind: kind, missing: Int(count) * each))
    return .opened
  }
}
