/// The routes of a table, or a stretch of them, as one deterministic automaton over the bytes of a path.
struct Automaton: Sendable {
  struct Transition: Sendable {
    var low: UInt8
    var high: UInt8
    var target: UInt32
  }

  /// The transitions of state `s` are those from `firstTransition[s]` to before `firstTransition[s + 1]`, sorted.
  private(set) var transitions: [Transition] = []
  private(set) var firstTransition: [UInt32] = [0]
  /// By state: the first declared route that accepts there, or -1.
  private(set) var winners: [Int32] = []

  var stateCount: Int { winners.count }

  /// The route that answers the path: one look-up for each byte.
  func match(_ path: [UInt8]) -> Int? {
    var state = 0
    for byte in path {
      guard let next = next(state, byte) else { return nil }
      state = next
    }
    let winner = winners[state]
    return winner < 0 ? nil : Int(winner)
  }

  func next(_ state: Int, _ byte: UInt8) -> Int? {
    var index = Int(firstTransition[state])
    let end = Int(firstTransition[state + 1])
    while index < end {
      let transition = transitions[index]
      if byte < transition.low { return nil }
      if byte <= transition.high { return Int(transition.target) }
      index += 1
    }
    return nil
  }

  fileprivate mutating func addState(_ outgoing: [Transition], winner: Int32) {
    transitions += outgoing
    firstTransition.append(UInt32(transitions.count))
    winners.append(winner)
  }
}

/// Builds an automaton state by state, nearest to the start first, and keeps what only the analysis needs.
struct AutomatonBuilder {
  /// How large an automaton may get before the table is cut in two.
  struct Budget: Sendable {
    var states = 500_000
    /// Positions looked at, over all states.
    var work = 60_000_000
  }

  private(set) var automaton = Automaton()
  /// By state: all routes that accept there, in their order.
  private(set) var accepted: [[Int32]] = []
  /// By state: the state and the byte that first led to it.
  private(set) var parents: [(state: Int32, byte: UInt8)] = [(-1, 0)]

  let routeCount: Int
  private var program: JointProgram
  private var numbers: [[JointProgram.Position]: UInt32] = [:]
  private var waiting: [[JointProgram.Position]] = []

  /// - Returns: nil where the budget does not suffice.
  static func build(_ programs: [Program], budget: Budget) -> AutomatonBuilder? {
    var builder = AutomatonBuilder(program: JointProgram(programs), routeCount: programs.count)
    return builder.run(budget) ? builder : nil
  }

  private init(program: JointProgram, routeCount: Int) {
    self.program = program
    self.routeCount = routeCount
  }

  private mutating func run(_ budget: Budget) -> Bool {
    let start = program.closure(of: program.starts.map { JointProgram.Position($0, .anything) })
    numbers[start] = 0
    waiting.append(start)
    var work = 0
    var state = 0
    while state < waiting.count {
      let positions = waiting[state]
      waiting[state] = []
      let routes = program.accepted(at: positions)
      work += positions.count + routes.count + 8
      guard work <= budget.work, waiting.count <= budget.states else { return false }
      let outgoing = expand(positions, from: state)
      accepted.append(routes)
      automaton.addState(outgoing, winner: routes.first ?? -1)
      state += 1
    }
    numbers = [:]
    waiting = []
    return true
  }

  private mutating func expand(_ positions: [JointProgram.Position], from state: Int) -> [Automaton
    .Transition]
  {
    var steps: [JointProgram.Step] = []
    for position in positions { program.addSteps(from: position, to: &steps) }
    guard !steps.isEmpty else { return [] }
    var isCut = InlineArray<257, Bool>(repeating: false)
    for step in steps {
      isCut[Int(step.low)] = true
      isCut[Int(step.high) + 1] = true
    }
    var transitions: [Automaton.Transition] = []
    var low = 0
    for cut in 1...256 where isCut[cut] || cut == 256 {
      defer { low = cut }
      let range = UInt8(low)...UInt8(cut - 1)
      let targets = steps.lazy.filter { $0.low <= range.lowerBound && range.lowerBound <= $0.high }.map(
        \.next)
      guard let target = number(Array(targets), from: state, by: range) else { continue }
      if let last = transitions.last, last.target == target, Int(last.high) + 1 == low {
        transitions[transitions.count - 1].high = range.upperBound
      } else {
        transitions.append(.init(low: range.lowerBound, high: range.upperBound, target: target))
      }
    }
    return transitions
  }

  private mutating func number(
    _ targets: [JointProgram.Position], from state: Int, by range: ClosedRange<UInt8>
  ) -> UInt32? {
    guard !targets.isEmpty else { return nil }
    let positions = program.closure(of: targets)
    guard !positions.isEmpty else { return nil }
    if let number = numbers[positions] { return number }
    let number = UInt32(waiting.count)
    numbers[positions] = number
    waiting.append(positions)
    parents.append((Int32(state), Self.readable(range)))
    return number
  }

  /// A byte of the range that makes an example easy to read.
  private static func readable(_ range: ClosedRange<UInt8>) -> UInt8 {
    let preferred: [UInt8] = [UInt8(ascii: "a"), UInt8(ascii: "1"), UInt8(ascii: "A"), UInt8(ascii: "-")]
    if let byte = preferred.first(where: range.contains) { return byte }
    return (UInt8(0x21)...0x7E).first(where: range.contains) ?? range.lowerBound
  }

  /// The shortest path that leads to the state.
  func example(_ state: Int) -> String {
    var bytes: [UInt8] = []
    var current = state
    while current > 0 {
      bytes.append(parents[current].byte)
      current = Int(parents[current].state)
    }
    return String(decoding: bytes.reversed(), as: UTF8.self)
  }
}
