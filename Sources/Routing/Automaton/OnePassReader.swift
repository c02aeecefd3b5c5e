/// Reads the captures of a path where no place of the route leaves a choice: each byte says how it goes on. Django's paths are such
/// routes, nearly all of them, and following one thread takes 3,100 instructions where following many, as `CaptureReader` does, takes
/// 13,500 (`ws/chat/<slug:room>/`; `Tests/Interop/bench_instructions.py` counts whole handshakes).
struct OnePassReader {
  private let program: Program
  private let path: [UInt8]
  private var place = 0
  /// Where the current pattern was entered.
  private var entered = -1
  private var slots: [Int32]

  /// - Returns: where each capture begins (even) and ends (odd), below 0 if it took no part; nil where there is a choice, or no match.
  static func read(_ path: [UInt8], by program: Program) -> [Int32]? {
    var reader = OnePassReader(program, path)
    return reader.read() ? reader.slots : nil
  }

  private init(_ program: Program, _ path: [UInt8]) {
    self.program = program
    self.path = path
    slots = Array(repeating: -1, count: program.captures.count * 2)
  }

  private var isAtEnd: Bool { place == path.count }

  private mutating func read() -> Bool {
    var next: Int32? = program.start
    // It ends: except for loops, which are read as a whole, each instruction leads to one that was added before it.
    while let instruction = next {
      if case .accept = program.instructions[Int(instruction)] { return isAtEnd }
      next = pass(instruction)
    }
    return false
  }

  /// - Returns: where it goes on; nil where that is not certain.
  private mutating func pass(_ instruction: Int32) -> Int32? {
    switch program.instructions[Int(instruction)] {
    case .byte(let low, let high, let next):
      guard !isAtEnd, low <= path[place], path[place] <= high else { return nil }
      place += 1
      return next
    case .save(let slot, let next):
      slots[Int(slot)] = Int32(place)
      return next
    case .enter(let next):
      guard isAtEnd || path[place] != UInt8(ascii: "/") else { return nil }
      entered = place
      return next
    case .leave(_, let next): return next
    case .assertStart(let next): return place == entered ? next : nil
    case .assertEnd(let next), .assertEndOrLastLineFeed(let next): return isAtEnd ? next : nil
    case .split(_, let other):
      guard !program.loopsThatTakeTheRest.contains(instruction) else {
        place = path.count
        return other
      }
      return read(program.run(at: instruction))
    case .accept, .fail: return nil
    }
  }

  private mutating func read(_ run: Program.Run?) -> Int32? {
    guard let run else { return nil }
    let start = place
    while !isAtEnd, run.bytes.contains(path[place]) {
      place += 1
      if !run.isRepeated { break }
    }
    return run.isRepeated || place > start ? run.next : nil
  }
}

extension Program {
  /// Bytes that lead to the same place, one of them or as many as there are: what a set of characters, and a loop over one, comes to
  /// if the bytes of the set do not begin what follows it.
  struct Run: Sendable {
    var instruction: Int32
    var bytes: ByteSet
    var isRepeated: Bool
    var next: Int32
  }
}

/// Bytes of UTF-8: some ASCII characters, and all others or none.
struct ByteSet: Sendable, Equatable {
  private var low: UInt64 = 0
  private var high: UInt64 = 0
  private(set) var hasOthers = false

  init() {}

  /// - Returns: nil if only some of the characters beyond ASCII are in the set.
  init?(_ set: CharacterRanges) {
    let others = CharacterRanges.everything.intersection(CharacterRanges([0x80...0x10FFFF]))
    let beyond = set.intersection(others)
    guard beyond.ranges.isEmpty || beyond == others else { return nil }
    self.init(ascii: set)
    hasOthers = beyond == others
  }

  /// Those of the characters that are ASCII.
  init(ascii set: CharacterRanges) {
    for range in set.ranges where range.lowerBound < 0x80 {
      for character in range.lowerBound...min(range.upperBound, 0x7F) { insert(UInt8(character)) }
    }
  }

  mutating func insert(_ byte: UInt8) {
    switch byte {
    case ..<64: low |= 1 << UInt64(byte)
    case ..<128: high |= 1 << UInt64(byte - 64)
    default: hasOthers = true
    }
  }

  func contains(_ byte: UInt8) -> Bool {
    switch byte {
    case ..<64: low >> UInt64(byte) & 1 != 0
    case ..<128: high >> UInt64(byte - 64) & 1 != 0
    default: hasOthers
    }
  }
}
