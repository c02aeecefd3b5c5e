/// Whether two routes capture the same values from all paths that both answer.
package enum CaptureAgreement: Sendable, Hashable {
  case same
  /// At this path they capture other values, or one of them captures nothing.
  case different(example: String)
  /// It was not decided.
  case open
}

/// Decides for one part of a comparison whether captures of the old route and of the new one have the same values.
///
/// Two readers go over the same path, each in any way that its pattern allows, and note where captures begin and end. If no path of
/// the part has two ways that differ, the values are the same. Otherwise the values of such a path are read and compared.
package struct CaptureComparison {
  private let (old, new): (Router, Router)
  private let part: TableComparison.Part
  private let budget: WorkBudget

  /// How many paths are read at most.
  private static let mostTries = 32

  package init(_ old: Router, _ new: Router, _ part: TableComparison.Part, budget: WorkBudget) {
    self.old = old
    self.new = new
    self.part = part
    self.budget = budget
  }

  /// - Parameter names: pairs of captures that are to have the same value.
  package func agreement(on names: [(old: String, new: String)]) -> CaptureAgreement {
    guard let one = part.old, let other = part.new else { return .same }
    let (oldPath, newPath) = (old.routes[one], new.routes[other])
    if names.isEmpty || oldPath.isWritten(as: newPath, names) { return .same }
    guard names.count <= CaptureReading.mostCaptures,
      let first = CaptureReading(oldPath, names.map(\.old)),
      let second = CaptureReading(newPath, names.map(\.new)),
      let oldTable = old.onlyAutomaton, let newTable = new.onlyAutomaton
    else { return .open }
    let isNormalisedAlike = names.allSatisfy {
      oldPath.normalises($0.old) == newPath.normalises($0.new)
    }
    var search = CaptureSearch(
      first, second,
      old: oldTable, new: newTable, budget: budget)
    var tries = 0
    var example: String?
    let isOver = search.run { oldWinner, newWinner, path in
      guard oldWinner == one, newWinner == other, path.count <= Router.longestPath else { return true }
      let text = String(decoding: path, as: UTF8.self);
      if differ(at: text, names) { example = text }
      tries += 1
      return example == nil && tries < Self.mostTries
    }
    if let example { return .different(example: example) }
    // Zeros at the beginning are dropped by one of them only, which is no difference of places.
    return isOver && tries == 0 && isNormalisedAlike ? .same : .open
  }

  private func differ(at path: String, _ names: [(old: String, new: String)]) -> Bool {
    let request = RequestPath(text: path)
    guard let one = old.match(request), let other = new.match(request), one.route == part.old,
      other.route == part.new
    else { return false }
    return names.contains { one.captures[$0.old] != other.captures[$0.new] }
  }
}

extension RoutePath {
  /// Whether both take the same paths, and capture the same values in them, because they have the same expressions.
  fileprivate func isWritten(as other: RoutePath, _ names: [(old: String, new: String)]) -> Bool {
    patterns.count == other.patterns.count
      && zip(patterns, other.patterns).allSatisfy { one, other in
        one.expression == other.expression && one.isSearched == other.isSearched
          && zip(one.captures, other.captures).allSatisfy { one, other in
            one.converter == other.converter
              && names.allSatisfy { ($0.old == one.name) == ($0.new == other.name) }
          }
      }
  }

  /// Whether zeros at the beginning of a capture are dropped.
  fileprivate func normalises(_ name: String) -> Bool {
    patterns.flatMap(\.captures).contains { $0.name == name && $0.converter == .int }
  }
}

/// The captures of one route, for a reader that goes any way that the pattern allows.
private struct CaptureReading {
  /// A set of marks is one number, with two bits for each capture.
  static let mostCaptures = 32

  /// Where a way goes on, and the beginnings and ends of captures before that.
  struct Step: Hashable {
    var position: JointProgram.Position
    var marks: UInt64
  }

  /// What can be reached without reading.
  struct Reached {
    /// Places where a byte is read.
    var reading: [Step] = []
    /// The marks on the ways to the end of the path, if it is here.
    var ends: Set<UInt64> = []
  }

  let program: Program
  /// For each slot of the program, its bit.
  private let bits: [UInt64]
  private var known: [JointProgram.Position: Reached] = [:]

  var start: JointProgram.Position { JointProgram.Position(program.start, .anything) }

  /// - Returns: nil if the program is too large, or a name does not stand for exactly one capture.
  init?(_ path: RoutePath, _ names: [String]) {
    let program = Program(path)
    guard !program.isTooLarge else { return nil }
    var bits = [UInt64](repeating: 0, count: program.captures.count * 2)
    for (number, name) in names.enumerated() {
      let captures = program.captures.indices.filter { program.captures[$0].name == name }
      guard captures.count == 1 else { return nil }
      bits[captures[0] * 2] |= 1 << UInt64(number * 2)
      bits[captures[0] * 2 + 1] |= 1 << UInt64(number * 2 + 1)
    }
    self.program = program
    self.bits = bits
  }

  mutating func reached(from position: JointProgram.Position) -> Reached {
    if let known = known[position] { return known }
    let reached = Reached(
      reading: settle(position, isEnd: false).filter {
        program.step(at: Int32($0.position.instruction)) != nil
      }.sorted { ($0.position, $0.marks) < ($1.position, $1.marks) },
      ends: Set(
        settle(position, isEnd: true).filter { program.accepts(Int32($0.position.instruction)) }.map(\.marks))
    )
    known[position] = reached
    return reached
  }

  private struct Visit: Hashable {
    var step: Step
    /// Whether a pattern begins exactly here.
    var isEntered: Bool
  }

  /// The rules are those of `CaptureReader`, without its preferences.
  private func settle(_ position: JointProgram.Position, isEnd: Bool) -> Set<Step> {
    var result: Set<Step> = []
    let first = Visit(step: Step(position: position, marks: 0), isEntered: false)
    var seen: Set<Visit> = [first]
    var work = [first]
    while let visit = work.popLast() {
      func go(_ next: Int32, _ mode: JointProgram.Mode, marks: UInt64 = 0, isEntered: Bool? = nil) {
        let step = Step(position: JointProgram.Position(next, mode), marks: visit.step.marks | marks)
        let next = Visit(step: step, isEntered: isEntered ?? visit.isEntered)
        if seen.insert(next).inserted { work.append(next) }
      }
      let mode = visit.step.position.mode
      switch program.instructions[visit.step.position.instruction] {
      case .byte: if mode != .nothing { result.insert(visit.step) }
      case .accept: if isEnd, mode != .onlyLastLineFeed { result.insert(visit.step) }
      case .fail: break
      case .split(let one, let other):
        go(one, mode)
        go(other, mode)
      case .save(let slot, let next): go(next, mode, marks: bits[Int(slot)])
      case .leave(_, let next): go(next, mode)
      case .enter(let next): go(next, mode.entering, isEntered: true)
      case .assertStart(let next): if visit.isEntered { go(next, mode) }
      case .assertEnd(let next): if isEnd, mode != .onlyLastLineFeed { go(next, mode) }
      case .assertEndOrLastLineFeed(let next):
        switch mode {
        case .onlyLastLineFeed, .nothing: go(next, mode)
        case .anything, .anythingButSlash: go(next, isEnd ? mode : .onlyLastLineFeed)
        }
      }
    }
    return result
  }
}

/// Two readers and the automata of both tables on one path.
private struct CaptureSearch {
  private struct Place: Hashable {
    var first: JointProgram.Position
    var second: JointProgram.Position
    var old: Int32
    var new: Int32
    /// Whether captures began or ended at different places.
    var differs: Bool
  }

  private var first: CaptureReading
  private var second: CaptureReading
  private let old: TableAutomaton
  private let new: TableAutomaton
  private let budget: WorkBudget

  init(
    _ first: CaptureReading, _ second: CaptureReading, old: TableAutomaton, new: TableAutomaton,
    budget: WorkBudget
  ) {
    self.first = first
    self.second = second
    self.old = old
    self.new = new
    self.budget = budget
  }

  /// Calls for each path, the shortest first, on which two ways differ, with the routes that answer it.
  ///
  /// - Parameter isToGoOn: whether to look for more.
  /// - Returns: whether all of them were seen.
  mutating func run(_ isToGoOn: (_ old: Int?, _ new: Int?, _ path: [UInt8]) -> Bool) -> Bool {
    var paths = ShortestPaths<Place, ClosedRange<UInt8>>(
      from: Place(first: first.start, second: second.start, old: old.start, new: new.start, differs: false))
    while let place = paths.next() {
      let (one, other) = (first.reached(from: place.first), second.reached(from: place.second))
      guard budget.spend(1 + one.reading.count * other.reading.count) else { return false }
      let endsDiffer = one.ends.contains { marks in other.ends.contains { $0 != marks || place.differs } }
      if endsDiffer,
        !isToGoOn(old.winner(place.old), new.winner(place.new), Self.varied(paths.steps(to: place)))
      {
        return false
      }
      let following = one.reading.flatMap { step in
        other.reading.flatMap { self.following(place, step, $0) }
      }
      // What a person can read comes first, and the order does not depend on chance.
      for (bytes, next) in following.sorted(by: { Self.order($0.0) < Self.order($1.0) }) {
        paths.reach(next, from: place, by: bytes)
      }
    }
    return true
  }

  private static func order(_ bytes: ClosedRange<UInt8>) -> (Int, UInt8) {
    (AutomatonBuilder.rank(of: AutomatonBuilder.readable(bytes)), bytes.lowerBound)
  }

  /// A path with different bytes at different places, so that values that are taken from different places differ.
  private static func varied(_ steps: [ClosedRange<UInt8>]) -> [UInt8] {
    let likely = [UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "1")...UInt8(ascii: "9"), 0x21...0x7E]
    return steps.enumerated().map { place, bytes in
      let range = likely.first(where: bytes.overlaps).map(bytes.clamped) ?? bytes
      return range.lowerBound + UInt8(place % range.count)
    }
  }

  private func following(
    _ place: Place, _ step: CaptureReading.Step, _ other: CaptureReading.Step
  ) -> [(ClosedRange<UInt8>, Place)] {
    guard let one = first.program.step(at: Int32(step.position.instruction)),
      let two = second.program.step(at: Int32(other.position.instruction)), one.bytes.overlaps(two.bytes)
    else { return [] }
    let common = one.bytes.clamped(to: two.bytes)
    let differs = place.differs || step.marks != other.marks
    return stretches(of: common, at: place).compactMap { stretch in
      let byte = stretch.lowerBound
      guard let mode = step.position.mode.after(byte), let otherMode = other.position.mode.after(byte)
      else { return nil }
      let next = Place(
        first: .init(one.next, mode), second: .init(two.next, otherMode), old: old.next(place.old, byte),
        new: new.next(place.new, byte), differs: differs)
      // Where a table has stopped, neither route answers.
      return next.old >= 0 && next.new >= 0 ? (stretch, next) : nil
    }
  }

  /// Bytes after which everything goes on alike.
  private func stretches(of range: ClosedRange<UInt8>, at place: Place) -> [ClosedRange<UInt8>] {
    var cuts = [UInt16(range.lowerBound), UInt16(range.upperBound) + 1]
    for byte in [UInt8(ascii: "/"), UInt8(ascii: "\n")] { cuts += [UInt16(byte), UInt16(byte) + 1] }
    old.addCuts(of: place.old, to: &cuts)
    new.addCuts(of: place.new, to: &cuts)
    cuts.sort()
    return AutomatonBuilder.stretches(cuts).filter { range.contains($0.lowerBound) }
  }
}
