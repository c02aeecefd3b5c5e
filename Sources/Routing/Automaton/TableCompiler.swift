/// Compiles the programs of a table into one automaton, or into several if one would be too large.
struct TableCompiler {
  struct Bounds {
    /// The maximum of states of one automaton.
    var states = 500_000
    /// The work for the whole table. Half of it is for attempts with more than one route.
    var work: Int
  }

  /// A single route may always take this much work, however much others took. An ordinary one needs far less.
  private static let leastForOne = 20_000

  private let bounds: Bounds
  /// The rest of the work for routes that are compiled by themselves.
  private var workForSingles: Int

  init(_ bounds: Bounds) {
    self.bounds = bounds
    workForSingles = bounds.work / 2
  }

  /// Passes on each automaton with the number of its first route, in their order; nil stands for one route that is too large.
  mutating func compile(_ programs: [Program], _ compiled: (Int, AutomatonBuilder?) -> Void) {
    compile(programs[...], work: bounds.work / 2, compiled)
  }

  /// Compiles all routes together or, if that is too large, each half by itself. All attempts of one depth together may take
  /// half of the work of the depth before.
  private mutating func compile(
    _ programs: ArraySlice<Program>, work: Int, _ compiled: (Int, AutomatonBuilder?) -> Void
  ) {
    guard programs.count > 1 else {
      if let program = programs.first { compiled(programs.startIndex, single(program)) }
      return
    }
    let budget = WorkBudget(work)
    if let builder = AutomatonBuilder(Array(programs), states: bounds.states, budget: budget) {
      return compiled(programs.startIndex, builder)
    }
    let middle = programs.startIndex + programs.count / 2
    compile(programs[..<middle], work: work / 4, compiled)
    compile(programs[middle...], work: work / 4, compiled)
  }

  private mutating func single(_ program: Program) -> AutomatonBuilder? {
    guard !program.isTooLarge else { return nil }
    // An eighth, so that one expensive route does not use up the work of those after it.
    let allowance = max(workForSingles / 8, Self.leastForOne)
    let budget = WorkBudget(allowance)
    defer { workForSingles = max(0, workForSingles - (allowance - budget.left)) }
    return AutomatonBuilder([program], states: bounds.states, budget: budget)
  }
}
