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
  /// The texts that it can be.
  var expression: Expression {
    switch self {
    case .literal(let text): .text(text)
    case .capture(_, let values, _, _), .identity(_, let values, _), .converted(let values): values
    case .anything: .repetition(.characters(.legalInNames), least: 0, most: nil, preference: .greedy)
    }
  }
}

/// A set of ASCII characters.
struct NameCharacters {
  /// The bit with the number of each character.
  private var bits: UInt128 = 0

  init(_ range: ClosedRange<UInt8>) {
    for byte in range.clamped(to: 0...127) where range.contains(byte) { bits |= 1 << byte }
  }

  mutating func formUnion(_ other: NameCharacters) { bits |= other.bits }

  /// The set without the byte, and the byte alone if it is in the set; those of the two that are not empty.
  func split(at byte: UInt8) -> [NameCharacters] {
    var (rest, alone) = (self, self)
    alone.bits &= 1 << byte
    rest.bits &= ~alone.bits
    return [rest, alone].filter { !$0.isEmpty }
  }

  func intersection(_ other: NameCharacters) -> NameCharacters {
    var common = self
    common.bits &= other.bits
    return common
  }

  var isEmpty: Bool { bits == 0 }
  var count: Int { bits.nonzeroBitCount }

  func contains(_ byte: UInt8) -> Bool { byte < 128 && bits >> byte & 1 == 1 }

  /// The characters of names, by their kinds. Letters are the easiest to read.
  private static let kinds = [
    "abcdefghijklmnopqrstuvwxyz", "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "-_.",
  ].map { Array($0.utf8) }

  /// Picks a character for an example, a different one of the same kind for each turn if possible.
  func pick(_ turn: Int) -> UInt8 {
    let alike = Self.kinds.lazy.map { $0.filter(contains) }.first { !$0.isEmpty }
    return alike.map { $0[turn % $0.count] } ?? UInt8(ascii: "a")
  }
}
