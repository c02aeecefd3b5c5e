/// A route as a non-deterministic automaton over the bytes of the path.
struct Program: Sendable {
  enum Instruction: Sendable {
    /// One byte within the bounds.
    case byte(UInt8, UInt8, next: Int32)
    /// Either way; the first is preferred.
    case split(Int32, Int32)
    /// A capture begins (even) or ends (odd).
    case save(Int32, next: Int32)
    /// A pattern of the route begins here: the place that its `start` means.
    case enter(Int32, next: Int32)
    /// Passes only where nothing was read since the pattern was entered.
    case assertStart(Int32, next: Int32)
    case assertEnd(next: Int32)
    case assertEndOrLastLineFeed(next: Int32)
    /// The pattern of that number ends here.
    case leave(Int32, next: Int32)
    case accept
    /// Leads nowhere.
    case fail
  }

  /// A pattern that expands to more is refused.
  static let mostInstructions = 20_000

  private(set) var instructions: [Instruction] = []
  private(set) var start: Int32 = 0
  /// The names of the captures in the order of their numbers; two of a kind may stand in different patterns.
  private(set) var captures: [RoutePattern.Capture] = []
  /// Whether the route is larger than is compiled; then it matches nothing.
  private(set) var isTooLarge = false

  /// Compiles from the back, so that every instruction knows what follows.
  init(_ route: RoutePath) {
    captures = route.patterns.flatMap(\.captures)
    var firstCapture = captures.count
    var next = add(.accept)
    for (number, pattern) in route.patterns.enumerated().reversed() {
      firstCapture -= pattern.captures.count
      let number = Int32(number)
      next = add(.leave(number, next: next))
      next = compile(pattern.expression, pattern: number, firstCapture: firstCapture, then: next)
      next = add(.enter(number, next: next))
      if number > 0 { next = addSlashes(then: next) }
    }
    start = next
    if isTooLarge {
      instructions = [.fail]
      start = 0
    }
  }

  /// Django's `URLRouter` takes all slashes away before its patterns, also in front of nested ones.
  private mutating func addSlashes(then next: Int32) -> Int32 {
    let loop = add(.fail)
    let slash = UInt8(ascii: "/")
    let byte = add(.byte(slash, slash, next: loop))
    if !isTooLarge { instructions[Int(loop)] = .split(byte, next) }
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

  private mutating func compile(
    _ expression: Expression, pattern: Int32, firstCapture: Int, then next: Int32
  ) -> Int32 {
    guard !isTooLarge else { return 0 }
    switch expression {
    case .characters(let set):
      return compile(set, then: next)
    case .sequence(let parts):
      return parts.reversed().reduce(next) { next, part in
        compile(part, pattern: pattern, firstCapture: firstCapture, then: next)
      }
    case .alternatives(let alternatives):
      let starts = alternatives.map {
        compile($0, pattern: pattern, firstCapture: firstCapture, then: next)
      }
      return starts.dropLast().reversed().reduce(starts[starts.count - 1]) { add(.split($1, $0)) }
    case .repetition(let inner, let least, let most, let preference):
      return compileRepetition(
        inner, least, most, preference, pattern: pattern, firstCapture: firstCapture, then: next)
    case .capture(let number, let inner):
      let slot = Int32(2 * (firstCapture + number))
      let end = add(.save(slot + 1, next: next))
      return add(.save(slot, next: compile(inner, pattern: pattern, firstCapture: firstCapture, then: end)))
    case .start: return add(.assertStart(pattern, next: next))
    case .end: return add(.assertEnd(next: next))
    case .endOrLastLineFeed: return add(.assertEndOrLastLineFeed(next: next))
    }
  }

  private mutating func compileRepetition(
    _ inner: Expression, _ least: Int, _ most: Int?, _ preference: Expression.Preference, pattern: Int32,
    firstCapture: Int, then next: Int32
  ) -> Int32 {
    func way(_ inside: Int32, _ outside: Int32) -> Instruction {
      preference == .greedy ? .split(inside, outside) : .split(outside, inside)
    }
    var start = next
    if let most {
      for _ in least..<max(least, most) {
        guard !isTooLarge else { return 0 }
        let body = compile(inner, pattern: pattern, firstCapture: firstCapture, then: start)
        start = add(way(body, next))
      }
    } else {
      let loop = add(.fail)
      let body = compile(inner, pattern: pattern, firstCapture: firstCapture, then: loop)
      if !isTooLarge { instructions[Int(loop)] = way(body, next) }
      start = loop
    }
    for _ in 0..<least {
      guard !isTooLarge else { return 0 }
      start = compile(inner, pattern: pattern, firstCapture: firstCapture, then: start)
    }
    return start
  }

  private mutating func compile(_ set: CharacterRanges, then next: Int32) -> Int32 {
    let sequences = set.ranges.flatMap(UTF8Ranges.sequences)
    let starts = sequences.map { sequence in
      sequence.reversed().reduce(next) { add(.byte($1.lowerBound, $1.upperBound, next: $0)) }
    }
    guard let last = starts.last else { return add(.fail) }
    return starts.dropLast().reversed().reduce(last) { add(.split($1, $0)) }
  }
}
