import Bytes

/// A route as a non-deterministic automaton over the bytes of the path.
struct Program: Sendable {
  enum Instruction: Sendable {
    /// One byte within the range.
    case byte(UInt8, UInt8, next: Int32)
    /// Continues in both places; the first is preferred.
    case split(Int32, Int32)
    /// A capture begins (even) or ends (odd).
    case save(Int32, next: Int32)
    /// A pattern of the route begins here. Its `start` means this place.
    case enter(next: Int32)
    /// Passes only if nothing was read since its pattern was entered. A pattern is left before the next one is entered, so the
    /// last one entered is always its own.
    case assertStart(next: Int32)
    case assertEnd(next: Int32)
    case assertEndOrLastLineFeed(next: Int32)
    /// The pattern of that number ends here.
    case leave(Int32, next: Int32)
    case accept
    /// Never matches.
    case fail
  }

  /// Whether the path may end at the instruction.
  func accepts(_ place: Int32) -> Bool {
    if case .accept = instructions[Int(place)] { true } else { false }
  }

  /// The bytes that can be read at the instruction, and where that leads; nil where nothing is read.
  func step(at place: Int32) -> (bytes: ClosedRange<UInt8>, next: Int32)? {
    if case .byte(let low, let high, let next) = instructions[Int(place)] { (low...high, next) } else { nil }
  }

  /// A pattern with more instructions is refused.
  static let mostInstructions = 20_000

  private(set) var instructions: [Instruction] = []
  private(set) var start: Int32 = 0
  /// The captures in the order of their numbers. Two with the same name may be in different patterns.
  private(set) var captures: [RoutePattern.Capture] = []
  /// Instructions from which every continuation is accepted.
  private(set) var loopsThatAcceptAnything: [Int32] = []
  /// Those of them that prefer the next character to the end.
  private(set) var loopsThatTakeTheRest: [Int32] = []
  /// Places where reading on leaves no choice although they split, in the order of their instructions.
  private var runs: [Run] = []
  /// Whether the route is too large to be compiled; then it matches nothing.
  private(set) var isTooLarge = false

  /// Compiles from the end to the beginning, so that every instruction knows its successor.
  init(_ route: RoutePath) {
    captures = route.patterns.flatMap(\.captures)
    var firstCapture = captures.count
    var next = add(.accept)
    for (number, pattern) in route.patterns.enumerated().reversed() {
      firstCapture -= pattern.captures.count
      let number = Int32(number)
      next = add(.leave(number, next: next))
      next = compile(pattern.expression, firstCapture: firstCapture, then: next)
      next = add(.enter(next: next))
      if number > 0 { next = addSlashes(then: next) }
    }
    begin(at: next)
  }

  /// The texts of an expression by itself: no slashes are removed before it, and its assertions about the surroundings are
  /// assumed to hold.
  init(language expression: Expression) {
    begin(at: compile(expression.withoutAssertions, firstCapture: 0, then: add(.accept)))
  }

  private mutating func begin(at next: Int32) {
    start = next
    runs.sort { $0.instruction < $1.instruction }
    guard isTooLarge else { return }
    runs = []
    instructions = [.fail]
    start = 0
    loopsThatAcceptAnything = []
    loopsThatTakeTheRest = []
  }

  /// Django's `URLRouter` removes all slashes before its patterns, also before nested ones.
  private mutating func addSlashes(then next: Int32) -> Int32 {
    let loop = add(.fail)
    let slash = UInt8(ascii: "/")
    let byte = add(.byte(slash, slash, next: loop))
    guard !isTooLarge else { return loop }
    instructions[Int(loop)] = .split(byte, next)
    // The pattern that follows does not begin with one.
    var slashes = ByteSet()
    slashes.insert(slash)
    runs.append(Run(instruction: loop, bytes: slashes, isRepeated: true, next: next))
    return loop
  }

  private mutating func add(_ instruction: Instruction) -> Int32 {
    guard instructions.count < Self.mostInstructions else {
      isTooLarge = true
      return 0
    }
    instructions.append(instruction)
    return Int32(instructions.count - 1)
  }

  private mutating func compile(_ expression: Expression, firstCapture: Int, then next: Int32) -> Int32 {
    guard !isTooLarge else { return 0 }
    switch expression {
    case .characters(let set): return compile(set, then: next)
    case .sequence(let parts):
      return parts.reversed().reduce(next) { compile($1, firstCapture: firstCapture, then: $0) }
    case .alternatives(let alternatives):
      return split(alternatives.map { compile($0, firstCapture: firstCapture, then: next) })
    case .repetition(let inner, let least, let most, let preference):
      return compileRepetition(inner, least, most, preference, firstCapture: firstCapture, then: next)
    case .capture(let number, let inner):
      let slot = Int32(2 * (firstCapture + number))
      let end = add(.save(slot + 1, next: next))
      return add(.save(slot, next: compile(inner, firstCapture: firstCapture, then: end)))
    case .start: return add(.assertStart(next: next))
    case .end: return add(.assertEnd(next: next))
    case .endOrLastLineFeed: return add(.assertEndOrLastLineFeed(next: next))
    }
  }

  private mutating func compileRepetition(
    _ inner: Expression, _ least: Int, _ most: Int?, _ preference: Expression.Preference, firstCapture: Int,
    then next: Int32
  ) -> Int32 {
    func way(_ inside: Int32, _ outside: Int32) -> Instruction {
      preference == .greedy ? .split(inside, outside) : .split(outside, inside)
    }
    var start = next
    if let most {
      for _ in least..<max(least, most) {
        guard !isTooLarge else { return 0 }
        let body = compile(inner, firstCapture: firstCapture, then: start)
        start = add(way(body, next))
      }
    } else {
      let loop = add(.fail)
      let body = compile(inner, firstCapture: firstCapture, then: loop)
      if !isTooLarge { instructions[Int(loop)] = way(body, next) }
      if preference == .greedy, case .characters(let set) = inner { addRun(over: set, at: loop, then: next) }
      if inner == .characters(.everything), acceptsAtEnd(next) {
        loopsThatAcceptAnything.append(loop)
        if preference == .greedy { loopsThatTakeTheRest.append(loop) }
      }
      start = loop
    }
    for _ in 0..<least {
      guard !isTooLarge else { return 0 }
      let repeated = compile(inner, firstCapture: firstCapture, then: start)
      // An expression that compiles to nothing stays nothing when it is repeated. Counting its repetitions could take very
      // long.
      guard repeated != start else { break }
      start = repeated
    }
    return start
  }

  /// Notes a loop that is to be left where a byte is not in the set, and cannot be left before.
  private mutating func addRun(over set: CharacterRanges, at loop: Int32, then next: Int32) {
    guard !isTooLarge, let bytes = ByteSet(set), let others = firstBytes(at: next) else { return }
    guard !others.contains(where: { range in range.contains(where: bytes.contains) }) else { return }
    runs.append(Run(instruction: loop, bytes: bytes, isRepeated: true, next: next))
  }

  /// The bytes that can be read first from a place on; nil where that would take long to tell.
  private func firstBytes(at place: Int32) -> [ClosedRange<UInt8>]? {
    var places = [place]
    var bytes: [ClosedRange<UInt8>] = []
    var index = 0
    while index < places.count {
      guard places.count <= Self.mostFirstPlaces else { return nil }
      if let step = step(at: places[index]) { bytes.append(step.bytes) }
      for next in instructions[Int(places[index])].passedTo where !places.contains(next) {
        places.append(next)
      }
      index += 1
    }
    return bytes
  }

  private static let mostFirstPlaces = 64

  func run(at instruction: Int32) -> Run? {
    let index = runs.partitionPoint { $0.instruction < instruction }
    return index < runs.count && runs[index].instruction == instruction ? runs[index] : nil
  }

  /// Whether the path may end here.
  private func acceptsAtEnd(_ place: Int32) -> Bool {
    guard !isTooLarge else { return false }
    var place = place
    // Every instruction leads to one that was added before it, so this ends.
    while true {
      switch instructions[Int(place)] {
      case .accept: return true
      case .leave(_, let next), .save(_, let next), .assertEnd(let next), .assertEndOrLastLineFeed(let next):
        place = next
      case .byte, .split, .enter, .assertStart, .fail: return false
      }
    }
  }

  private mutating func compile(_ set: CharacterRanges, then next: Int32) -> Int32 {
    let sequences = set.ranges.flatMap(UTF8Ranges.sequences)
    let starts = sequences.map { sequence in
      sequence.reversed().reduce(next) { add(.byte($1.lowerBound, $1.upperBound, next: $0)) }
    }
    let start = split(starts)
    // Of several bytes of one character only one would be read here.
    if starts.count > 1, !isTooLarge {
      runs.append(Run(instruction: start, bytes: ByteSet(ascii: set), isRepeated: false, next: next))
    }
    return start
  }

  /// Continues at any of the starts, of which an earlier one is preferred.
  private mutating func split(_ starts: [Int32]) -> Int32 {
    guard let last = starts.last else { return add(.fail) }
    return starts.dropLast().reversed().reduce(last) { add(.split($1, $0)) }
  }
}

extension Program.Instruction {
  /// Where it leads without reading a byte, if assertions are assumed to hold.
  var passedTo: [Int32] {
    switch self {
    case .byte, .accept, .fail: []
    case .split(let one, let other): [one, other]
    case .save(_, let next), .enter(let next), .leave(_, let next), .assertStart(let next),
      .assertEnd(let next), .assertEndOrLastLineFeed(let next):
      [next]
    }
  }
}
