/// The routes of a table, or consecutive ones of them, as one deterministic automaton over the bytes of a path.
struct Automaton: Sendable {
  struct Transition: Sendable {
    var low: UInt8
    var high: UInt8
    var target: UInt32
  }

  /// The transitions of state `s` are those from `firstTransition[s]` to before `firstTransition[s + 1]`, sorted.
  private var transitions: [Transition] = []
  private var firstTransition: [UInt32] = [0]
  /// For each state: the first declared route that accepts there, or -1.
  private(set) var winners: [Int32] = []

  /// The transitions of a state.
  func outgoing(_ state: Int) -> ArraySlice<Transition> {
    transitions[Int(firstTransition[state])..<Int(firstTransition[state + 1])]
  }

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

/// Builds an automaton state by state, nearest to the start first, and keeps the data for the analyses.
struct AutomatonBuilder {
  private typealias Positions = [JointProgram.Position]

  /// A route that can no longer win where another one accepts every continuation.
  struct Hiding: Hashable {
    var by: Int32
    var route: Int32
  }

  private(set) var automaton = Automaton()
  /// For each state: all routes that accept there, in their order, without those that are hidden there.
  private(set) var accepted: [[Int32]] = []
  /// For each state: the state and the byte that first led to it.
  private(set) var parents: [(state: Int32, byte: UInt8)] = [(-1, 0)]
  /// The routes that were dropped somewhere, and the routes for which they were dropped.
  private(set) var hidden: Set<Hiding> = []

  let routeCount: Int
  private var program: JointProgram
  private var numbers: [Positions: UInt32] = [:]
  /// The states by their positions before settling, because many bytes lead to the same positions. Only for those that take
  /// long to settle.
  private var numbersOfTargets: [Positions: UInt32?] = [:]
  private var waiting: [Positions] = []
  private let budget: WorkBudget

  private static let manyTargets = 8

  /// - Parameter states: the maximum of states.
  /// - Returns: nil if the bounds do not suffice.
  init?(_ programs: [Program], states: Int = 20_000, budget: WorkBudget) {
    program = JointProgram(programs)
    routeCount = programs.count
    self.budget = budget
    guard run(states: states) else { return nil }
  }

  private mutating func run(states: Int) -> Bool {
    let start = program.settle(program.starts.map { JointProgram.Position($0, .anything) })
    remember(start.hiding)
    numbers[start.positions] = 0
    waiting.append(start.positions)
    var state = 0
    while state < waiting.count {
      let positions = waiting[state]
      waiting[state] = []
      let visits = program.visits
      let routes = program.accepted(at: positions)
      guard let outgoing = expand(positions, from: state), waiting.count <= states,
        budget.spend(program.visits - visits + positions.count + routes.count)
      else { return false }
      accepted.append(routes)
      automaton.addState(outgoing, winner: routes.first ?? -1)
      state += 1
    }
    numbers = [:]
    numbersOfTargets = [:]
    waiting = []
    return true
  }

  /// The transitions of a state; nil if the budget is used up.
  private mutating func expand(_ positions: Positions, from state: Int) -> [Automaton.Transition]? {
    var steps: [JointProgram.Step] = []
    for position in positions { program.addSteps(from: position, to: &steps) }
    guard steps.count > 1 else {
      // Most states of a large table have a single transition.
      guard let step = steps.first, let target = number([step.next], from: state, by: step.low...step.high)
      else { return [] }
      return [.init(low: step.low, high: step.high, target: target)]
    }
    let stretches = Stretches(steps)
    guard budget.spend(stretches.work) else { return nil }
    var transitions: [Automaton.Transition] = []
    for (range, targets) in stretches.all {
      guard let target = number(targets, from: state, by: range) else { continue }
      if let last = transitions.last, last.target == target, Int(last.high) + 1 == Int(range.lowerBound) {
        transitions[transitions.count - 1].high = range.upperBound
      } else {
        transitions.append(.init(low: range.lowerBound, high: range.upperBound, target: target))
      }
    }
    return transitions
  }

  private mutating func number(
    _ targets: Positions, from state: Int, by range: ClosedRange<UInt8>
  ) -> UInt32? {
    let isLarge = targets.count >= Self.manyTargets
    if isLarge, let known = numbersOfTargets[targets] { return known }
    let settled = program.settle(targets)
    remember(settled.hiding)
    var number: UInt32?
    if let known = numbers[settled.positions] {
      number = known
    } else if !settled.positions.isEmpty {
      number = UInt32(waiting.count)
      numbers[settled.positions] = number
      waiting.append(settled.positions)
      parents.append((Int32(state), Self.readable(range)))
    }
    if isLarge { numbersOfTargets.updateValue(number, forKey: targets) }
    return number
  }

  private mutating func remember(_ hiding: (by: Int32, routes: [Int32])?) {
    guard let hiding else { return }
    for route in hiding.routes { hidden.insert(Hiding(by: hiding.by, route: route)) }
  }

  /// A byte of the range that makes an example easy to read.
  static func readable(_ range: ClosedRange<UInt8>) -> UInt8 {
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

/// Cuts the bytes where steps begin and end, and collects the targets for each stretch.
private struct Stretches {
  private var ranges: [ClosedRange<UInt8>] = []
  private var targets: [[JointProgram.Position]] = []
  /// The number of targets; a target of several stretches counts for each of them.
  private(set) var work = 0

  init(_ steps: [JointProgram.Step]) {
    var isCut = InlineArray<257, Bool>(repeating: false)
    for step in steps {
      isCut[Int(step.low)] = true
      isCut[Int(step.high) + 1] = true
    }
    // Indexed by the first byte of a stretch. The end has an index too.
    var numbers = InlineArray<257, UInt16>(repeating: 0)
    var low = 0
    for cut in 1...256 where isCut[cut] || cut == 256 {
      ranges.append(UInt8(low)...UInt8(cut - 1))
      numbers[cut] = UInt16(ranges.count)
      low = cut
    }
    targets = Array(repeating: [], count: ranges.count)
    for step in steps {
      let stretches = Int(numbers[Int(step.low)])..<Int(numbers[Int(step.high) + 1])
      for stretch in stretches { targets[stretch].append(step.next) }
      work += stretches.count
    }
  }

  /// The stretches with targets.
  var all: some Sequence<(ClosedRange<UInt8>, [JointProgram.Position])> {
    zip(ranges, targets).lazy.filter { !$1.isEmpty }
  }
}
