/// The names of a `NameLanguage` as a non-deterministic automaton that knows to which part of the template each character
/// belongs.
///
/// Its states are made when a search reaches them.
final class NameAutomaton {
  /// One character of the set, which belongs to the part.
  struct Step {
    var characters: NameCharacters
    var part: Int32
    var next: Int32
  }

  struct State {
    var steps: [Step] = []
    var accepts = false
  }

  let language: NameLanguage
  private let programs: [Program]
  /// The number of each program's first instruction. The programs of all parts are numbered consecutively.
  private let offsets: [Int32]
  private var states: [Int32: State] = [:]

  /// - Returns: nil if the automaton is too large.
  init?(_ language: NameLanguage) {
    self.language = language
    programs = language.parts.map { Program(language: $0.expression) }
    var offsets: [Int32] = [0]
    for program in programs {
      if program.isTooLarge { return nil }
      offsets.append(offsets[offsets.count - 1] + Int32(program.instructions.count))
    }
    self.offsets = offsets
  }

  var start: Int32 { entry(of: 0) }

  /// The instruction where a part begins. The end comes after the last part.
  private func entry(of part: Int) -> Int32 {
    part < programs.count ? offsets[part] + programs[part].start : offsets[part]
  }

  /// The transitions of a state; nil if the budget is used up.
  func state(_ number: Int32, _ budget: WorkBudget) -> State? {
    if let known = states[number] { return known }
    var state = State()
    var seen: Set<Int32> = []
    var work = [number]
    while let place = work.popLast() {
      guard seen.insert(place).inserted else { continue }
      guard budget.spend(4) else { return nil }
      // The part whose entry is the last one at or before the place. The end of the template comes after all parts.
      guard place < offsets[programs.count], let part = offsets.lastIndex(where: { $0 <= place }) else {
        state.accepts = true
        continue
      }
      let offset = offsets[part]
      let instruction = programs[part].instructions[Int(place - offset)]
      switch instruction {
      case .byte(let low, let high, let next):
        state.add(NameCharacters(low...high), part: Int32(part), next: offset + next)
      case .accept: work.append(entry(of: part + 1))
      case .fail, .split, .save, .enter, .leave, .assertStart, .assertEnd, .assertEndOrLastLineFeed:
        work += instruction.passedTo.map { offset + $0 }
      }
    }
    states[number] = state
    return state
  }
}

extension NameAutomaton.State {
  fileprivate mutating func add(_ characters: NameCharacters, part: Int32, next: Int32) {
    if let index = steps.firstIndex(where: { $0.next == next && $0.part == part }) {
      steps[index].characters.formUnion(characters)
    } else {
      steps.append(.init(characters: characters, part: part, next: next))
    }
  }
}

extension NameLanguage.Part {
  fileprivate var expression: Expression {
    switch self {
    case .literal(let text): .text(text)
    case .capture(_, let values): values
    case .identity: .repetition(.characters(.legalInNames), least: 1, most: nil, preference: .greedy)
    case .anything: .repetition(.characters(.legalInNames), least: 0, most: nil, preference: .greedy)
    }
  }
}

/// A set of ASCII characters.
struct NameCharacters: Hashable {
  private var low: UInt64 = 0
  private var high: UInt64 = 0

  init(_ range: ClosedRange<UInt8>) {
    for byte in range.clamped(to: 0...127) where range.contains(byte) { insert(byte) }
  }

  private init(low: UInt64, high: UInt64) {
    self.low = low
    self.high = high
  }

  private mutating func insert(_ byte: UInt8) {
    if byte < 64 { low |= 1 << UInt64(byte) } else { high |= 1 << UInt64(byte - 64) }
  }

  mutating func formUnion(_ other: NameCharacters) {
    low |= other.low
    high |= other.high
  }

  func intersection(_ other: NameCharacters) -> NameCharacters {
    NameCharacters(low: low & other.low, high: high & other.high)
  }

  var isEmpty: Bool { low | high == 0 }
  var count: Int { low.nonzeroBitCount + high.nonzeroBitCount }

  func contains(_ byte: UInt8) -> Bool {
    byte < 64 ? low >> UInt64(byte) & 1 == 1 : byte < 128 && high >> UInt64(byte - 64) & 1 == 1
  }

  private static let readable = Array(
    "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_.".utf8)

  /// Picks a character for an example, a different one for each turn if possible. Letters are preferred to digits.
  func pick(_ turn: Int) -> UInt8 {
    let members = Self.readable.filter(contains)
    guard let first = members.first else { return UInt8(ascii: "a") }
    let alike = members.prefix { Self.kind($0) == Self.kind(first) }
    return alike[turn % alike.count]
  }

  private static func kind(_ byte: UInt8) -> Int {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"): 0
    case UInt8(ascii: "0")...UInt8(ascii: "9"): 1
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): 2
    default: 3
    }
  }
}
