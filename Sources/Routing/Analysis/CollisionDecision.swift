/// Decides whether different captures can make the same group name.
///
/// Two readers go over the same name. If one passes the beginning or the end of a capture and the other does not, their
/// captures differ. The number of pairs of places is finite, so the search ends, and is complete.
struct CollisionDecision {
  /// The captures of two readings, by name.
  struct Readings {
    var first: [String: String]
    var second: [String: String]
  }

  enum Verdict {
    /// Different captures always make different names.
    case never
    /// Two readings that passed the test.
    case found(Readings)
    /// There are readings, but none that was tried passed the test; or there are too many pairs.
    case open
  }

  private struct Pair: Hashable {
    var first: Int32
    var second: Int32
    var differ: Bool
  }

  /// How a pair was reached: the byte that was read, and the bounds of captures that each reader passed before it.
  private struct Step {
    var byte: UInt8
    var firstBounds: [Int32]
    var secondBounds: [Int32]
  }

  /// A place that is reached without reading, and the bounds that were passed on the way.
  private struct Reached: Hashable {
    var instruction: Int32
    var bounds: [Int32]
  }

  private static let mostTests = 50

  private let program: Program
  private let names: [String]
  private let forms: [GroupPattern.Form]
  private let budget: WorkBudget
  private var reached: [Int32: [Reached]] = [:]

  /// - Parameter expression: the possible values of the capture with that name.
  init?(_ template: GroupPattern, budget: WorkBudget, _ expression: (String) -> Expression) {
    names = template.captureNames
    forms = template.parts.compactMap { if case .capture(_, let form) = $0 { form } else { nil } }
    self.budget = budget
    var parts: [Expression] = []
    var number = 0
    for part in template.parts {
      switch part {
      case .literal(let text): parts.append(.text(text))
      case .capture(let name, let form):
        parts.append(.capture(number, form == .escaped ? expression(name).escaped : expression(name)))
        number += 1
      case .identity, .converted, .anything: return nil
      }
    }
    let captures = names.map { RoutePattern.Capture(name: $0, expression: .empty) }
    let pattern = RoutePattern(text: "", syntax: .path, captures: captures, expression: .sequence(parts))
    program = Program(RoutePath([pattern]))
    if program.isTooLarge { return nil }
  }

  /// - Parameter isReal: whether paths lead to both readings.
  mutating func verdict(_ isReal: (Readings) -> Bool) -> Verdict {
    let start = Pair(first: program.start, second: program.start, differ: false)
    var paths = ShortestPaths<Pair, Step>(from: start)
    var tests = 0
    while let pair = paths.next() {
      for first in reach(pair.first) {
        for second in reach(pair.second) {
          guard budget.spend(4) else { return .open }
          let differ = pair.differ || first.bounds != second.bounds
          if differ, program.accepts(first.instruction), program.accepts(second.instruction) {
            guard tests < Self.mostTests else { return .open }
            tests += 1
            let readings = readings(by: paths.steps(to: pair), first.bounds, second.bounds)
            if isReal(readings) { return .found(readings) }
          }
          guard let (byte, one, other) = read(first, second) else { continue }
          paths.reach(
            Pair(first: one, second: other, differ: differ), from: pair,
            by: Step(byte: byte, firstBounds: first.bounds, secondBounds: second.bounds))
        }
      }
    }
    return tests == 0 && budget.left > 0 ? .never : .open
  }

  /// Assertions are assumed to hold, so that at worst a reading too many is found. Empty if the budget is used up.
  private mutating func reach(_ start: Int32) -> [Reached] {
    if let known = reached[start] { return known }
    var result: [Reached] = []
    var seen: Set<Reached> = []
    var work = [Reached(instruction: start, bounds: [])]
    while let place = work.popLast() {
      guard budget.spend(4) else { return [] }
      guard seen.insert(place).inserted else { continue }
      let instruction = program.instructions[Int(place.instruction)]
      switch instruction {
      case .byte, .accept: result.append(place)
      case .save(let slot, let next): work.append(Reached(instruction: next, bounds: place.bounds + [slot]))
      case .fail, .split, .enter, .leave, .assertStart, .assertEnd, .assertEndOrLastLineFeed:
        work += instruction.passedTo.reversed().map { Reached(instruction: $0, bounds: place.bounds) }
      }
    }
    reached[start] = result
    return result
  }

  /// A byte that both readers can read and that is valid in a group name.
  private func read(_ first: Reached, _ second: Reached) -> (byte: UInt8, first: Int32, second: Int32)? {
    guard let one = program.step(at: first.instruction), let other = program.step(at: second.instruction),
      one.bytes.overlaps(other.bytes),
      let byte = GroupName.legalByte(in: one.bytes.clamped(to: other.bytes))
    else { return nil }
    return (byte, one.next, other.next)
  }

  private func readings(by way: [Step], _ firstBounds: [Int32], _ secondBounds: [Int32]) -> Readings {
    let name = way.map(\.byte)
    func values(_ passed: [[Int32]]) -> [String: String] {
      var bounds = [Int](repeating: 0, count: 2 * names.count)
      for (place, slots) in passed.enumerated() {
        for slot in slots { bounds[Int(slot)] = place }
      }
      var values: [String: String] = [:]
      for (number, capture) in names.enumerated() {
        let text = String(decoding: name[bounds[2 * number]..<bounds[2 * number + 1]], as: UTF8.self)
        values[capture] = forms[number].value(of: text)
      }
      return values
    }
    return Readings(
      first: values(way.map(\.firstBounds) + [firstBounds]),
      second: values(way.map(\.secondBounds) + [secondBounds]))
  }
}

extension GroupName {
  /// The byte in the range that is easiest to read.
  fileprivate static func legalByte(in range: ClosedRange<UInt8>) -> UInt8? {
    let preferred: [UInt8] = [UInt8(ascii: "a"), UInt8(ascii: "1"), UInt8(ascii: "A")]
    return preferred.first(where: range.contains) ?? range.first(where: isLegal)
  }
}
