import Bytes

/// The programs of many routes side by side, and the positions that can be reached in them without reading a byte.
struct JointProgram {
  /// Which bytes may still follow.
  enum Mode: UInt32 {
    case anything = 0
    /// A pattern was just entered. All slashes before it are removed, so its first byte is not a slash.
    case anythingButSlash = 1
    /// `$` was passed before a line feed, which has to be the last byte.
    case onlyLastLineFeed = 2
    case nothing = 3
  }

  /// An instruction and a mode, in one number.
  struct Position: Hashable, Comparable {
    var value: UInt32

    init(_ instruction: Int32, _ mode: Mode) {
      value = UInt32(bitPattern: instruction) << 2 | mode.rawValue
    }

    var instruction: Int { Int(value >> 2) }
    // The two low bits always hold a mode.
    var mode: Mode { Mode(rawValue: value & 3) ?? .anything }

    static func < (one: Position, other: Position) -> Bool { one.value < other.value }
  }

  /// The positions that were visited in one turn. Those at the beginning of a pattern are kept separately: only there its `start`
  /// passes, so other visits must not hide them.
  struct Visits {
    private var plain: [Int32]
    private var entered: [Int32]

    init(instructions count: Int) {
      plain = Array(repeating: -1, count: count << 2)
      entered = plain
    }

    /// - Parameter turn: a number that no earlier turn had.
    mutating func isNew(_ position: Position, _ isEntered: Bool, at turn: Int) -> Bool {
      let (key, turn) = (Int(position.value), Int32(truncatingIfNeeded: turn))
      if isEntered {
        defer { entered[key] = turn }
        return entered[key] != turn
      }
      defer { plain[key] = turn }
      return plain[key] != turn
    }
  }

  /// The positions that can be reached, without those that can no longer win.
  struct Settled {
    var positions: [Position]
    /// The first route that accepts every continuation, and the later routes that were dropped because they could not win any
    /// more.
    var hiding: (by: Int32, routes: [Int32])?
  }

  private(set) var instructions: [Program.Instruction] = []
  private var offsets: [Int] = []
  private(set) var starts: [Int32] = []
  /// The positions that the current closure has visited.
  private var seen: Visits
  private var generation = 0
  /// How many positions all closures have visited.
  private(set) var visits = 0
  /// For each instruction: whether every continuation is accepted from there.
  private var acceptsAnything: [Bool] = []
  /// The first such instruction in the current closure.
  private var firstThatAcceptsAnything: Int?

  init(_ programs: [Program]) {
    for program in programs {
      let offset = Int32(instructions.count)
      offsets.append(instructions.count)
      starts.append(offset + program.start)
      instructions += program.instructions.map { $0.moved(by: offset) }
    }
    acceptsAnything = Array(repeating: false, count: instructions.count)
    for (program, offset) in zip(programs, offsets) {
      for loop in program.loopsThatAcceptAnything { acceptsAnything[offset + Int(loop)] = true }
    }
    seen = Visits(instructions: instructions.count)
  }

  /// The route whose program holds the instruction.
  func route(of instruction: Int) -> Int { offsets.partitionPoint { $0 <= instruction } - 1 }

  enum Moment {
    case beforeEnd
    case atEnd
  }

  /// All positions that can be reached without reading: bytes to read, accepts, and assertions about the end.
  ///
  /// - Parameter moment: whether the path is over, so that assertions about its end hold.
  private mutating func closure(
    of positions: some Sequence<Position>, _ moment: Moment = .beforeEnd
  ) -> [Position] {
    generation += 1
    firstThatAcceptsAnything = nil
    var reached: [Position] = []
    // That mode is only left by reading a byte, so a pattern was entered at this place.
    var work: [(position: Position, isEntered: Bool)] = positions.map { ($0, $0.mode == .anythingButSlash) }
    while let (position, isEntered) = work.popLast() {
      visits += 1
      guard seen.isNew(position, isEntered, at: generation) else { continue }
      if acceptsAnything[position.instruction], position.mode == .anything {
        firstThatAcceptsAnything = min(firstThatAcceptsAnything ?? .max, position.instruction)
      }
      follow(position, isEntered, moment, &work, &reached)
    }
    // A position may have been reached in both ways.
    reached.sort()
    return reached.reduce(into: []) { if $0.last != $1 { $0.append($1) } }
  }

  private func follow(
    _ position: Position, _ isEntered: Bool, _ moment: Moment,
    _ work: inout [(position: Position, isEntered: Bool)], _ reached: inout [Position]
  ) {
    let mode = position.mode
    func go(_ next: Int32, _ mode: Mode) { work.append((Position(next, mode), isEntered)) }
    switch instructions[position.instruction] {
    case .byte:
      if mode != .nothing { reached.append(position) }
    case .accept:
      if mode != .onlyLastLineFeed { reached.append(position) }
    case .fail: break
    case .split(let first, let second):
      go(second, mode)
      go(first, mode)
    case .save(_, let next), .leave(_, let next): go(next, mode)
    case .enter(let next): work.append((Position(next, mode.entering), true))
    case .assertStart(let next):
      if isEntered { go(next, mode) }
    case .assertEnd(let next):
      switch (mode, moment) {
      case (.nothing, _), (.anything, .atEnd), (.anythingButSlash, .atEnd): go(next, mode)
      case (.anything, .beforeEnd), (.anythingButSlash, .beforeEnd): reached.append(position)
      case (.onlyLastLineFeed, _): break
      }
    case .assertEndOrLastLineFeed(let next):
      switch (mode, moment) {
      case (.anything, .beforeEnd), (.anythingButSlash, .beforeEnd):
        reached.append(position)
        go(next, .onlyLastLineFeed)
      case (.anything, .atEnd), (.anythingButSlash, .atEnd), (.onlyLastLineFeed, _), (.nothing, _):
        go(next, mode)
      }
    }
  }

  /// All positions that can be reached without reading, as far as a route can still win because of them.
  ///
  /// After a route that accepts every continuation no later route can win, and one position of that route is enough. Keeping
  /// the others would multiply the number of states.
  mutating func settle(_ positions: some Sequence<Position>) -> Settled {
    let reached = closure(of: positions)
    guard let loop = firstThatAcceptsAnything else { return Settled(positions: reached) }
    let winner = route(of: loop)
    let earlier = reached.prefix { $0.instruction < offsets[winner] }
    var hidden: [Int32] = []
    for position in reached.reversed() {
      let route = route(of: position.instruction)
      guard route > winner else { break }
      if hidden.last != Int32(route) { hidden.append(Int32(route)) }
    }
    let anything = closure(of: [Position(Int32(loop), .anything)])
    return Settled(
      positions: Array(earlier) + anything, hiding: hidden.isEmpty ? nil : (Int32(winner), hidden))
  }

  /// The routes that accept if the path ends at these positions, in their order.
  mutating func accepted(at positions: [Position]) -> [Int32] {
    let ends = positions.filter { isEndRelevant(instructions[$0.instruction]) }
    guard !ends.isEmpty else { return [] }
    var routes: [Int32] = []
    for position in closure(of: ends, .atEnd) {
      guard case .accept = instructions[position.instruction] else { continue }
      let route = Int32(route(of: position.instruction))
      if routes.last != route { routes.append(route) }
    }
    return routes
  }

  private func isEndRelevant(_ instruction: Program.Instruction) -> Bool {
    switch instruction {
    case .accept, .assertEnd, .assertEndOrLastLineFeed: true
    case .byte, .split, .save, .enter, .leave, .assertStart, .fail: false
    }
  }

  /// The positions after a byte at a `byte` instruction: none, or those for one or two ranges of bytes.
  func addSteps(from position: Position, to steps: inout [Step]) {
    guard case .byte(let low, let high, let next) = instructions[position.instruction] else { return }
    func add(_ low: UInt8, _ high: UInt8, _ mode: Mode) {
      if low <= high { steps.append(Step(low: low, high: high, next: Position(next, mode))) }
    }
    let slash = UInt8(ascii: "/")
    let lineFeed = UInt8(ascii: "\n")
    switch position.mode {
    case .anything: add(low, high, .anything)
    case .anythingButSlash where (low...high).contains(slash):
      add(low, slash - 1, .anything)
      add(slash + 1, high, .anything)
    case .anythingButSlash: add(low, high, .anything)
    case .onlyLastLineFeed:
      if (low...high).contains(lineFeed) { add(lineFeed, lineFeed, .nothing) }
    case .nothing: break
    }
  }

  struct Step {
    var low: UInt8
    var high: UInt8
    var next: Position
  }
}

extension JointProgram.Mode {
  /// The mode at the beginning of a pattern.
  var entering: JointProgram.Mode { self == .anything ? .anythingButSlash : self }

  /// The mode after the byte, or nil if the byte is not allowed.
  func after(_ byte: UInt8) -> JointProgram.Mode? {
    switch self {
    case .anything: .anything
    case .anythingButSlash: byte == UInt8(ascii: "/") ? nil : .anything
    case .onlyLastLineFeed: byte == UInt8(ascii: "\n") ? .nothing : nil
    case .nothing: nil
    }
  }
}

extension Program.Instruction {
  fileprivate func moved(by offset: Int32) -> Program.Instruction {
    switch self {
    case .byte(let low, let high, let next): .byte(low, high, next: next + offset)
    case .split(let first, let second): .split(first + offset, second + offset)
    case .save(let slot, let next): .save(slot, next: next + offset)
    case .enter(let next): .enter(next: next + offset)
    case .leave(let pattern, let next): .leave(pattern, next: next + offset)
    case .assertStart(let next): .assertStart(next: next + offset)
    case .assertEnd(let next): .assertEnd(next: next + offset)
    case .assertEndOrLastLineFeed(let next): .assertEndOrLastLineFeed(next: next + offset)
    case .accept: .accept
    case .fail: .fail
    }
  }
}
