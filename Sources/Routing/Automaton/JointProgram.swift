/// The programs of many routes side by side, and what can be reached in them without reading a byte.
struct JointProgram {
  /// What may still come.
  enum Mode: UInt32 {
    case anything = 0
    /// A pattern was just entered, and every slash before it is taken away: the first byte it sees is none.
    case anythingButSlash = 1
    /// `$` was passed before a line feed that has to be the last byte.
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
    // Two bits are always a mode.
    var mode: Mode { Mode(rawValue: value & 3) ?? .anything }

    static func < (one: Position, other: Position) -> Bool { one.value < other.value }
  }

  /// What can be reached, after what can no longer win was dropped.
  struct Settled {
    var positions: [Position]
    /// The first route that accepts whatever follows, and those behind it that were dropped: they could not win any more.
    var hiding: (by: Int32, routes: [Int32])?
  }

  private(set) var instructions: [Program.Instruction] = []
  private var offsets: [Int] = []
  private(set) var starts: [Int32] = []
  /// Marks what the current closure has seen.
  private var seen: [UInt32]
  /// The same for visits right behind the beginning of a pattern, which pass its `start` and so must not be hidden by others.
  private var seenEntered: [UInt32]
  private var generation: UInt32 = 0
  /// How many places all closures have come by.
  private(set) var visits = 0
  /// By instruction: whether the rest of any path is accepted from there.
  private var acceptsAnything: [Bool] = []
  /// The first of those that the current closure came by.
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
    seen = Array(repeating: 0, count: instructions.count << 2)
    seenEntered = seen
  }

  /// The route whose program holds the instruction.
  func route(of instruction: Int) -> Int {
    var low = 0
    var high = offsets.count
    while high - low > 1 {
      let middle = (low + high) / 2
      if offsets[middle] <= instruction { low = middle } else { high = middle }
    }
    return low
  }

  enum Moment {
    case beforeEnd
    case atEnd
  }

  /// Everything reachable from the positions without reading: bytes to read, accepts, and ends to be seen at the end.
  ///
  /// - Parameter moment: whether the path is over, so that assertions about its end hold.
  private mutating func closure(
    of positions: some Sequence<Position>, _ moment: Moment = .beforeEnd
  ) -> [Position] {
    generation += 1
    firstThatAcceptsAnything = nil
    var reached: [Position] = []
    // That mode is only left by reading, so a pattern was entered at this very place.
    var work: [(position: Position, isEntered: Bool)] = positions.map { ($0, $0.mode == .anythingButSlash) }
    while let (position, isEntered) = work.popLast() {
      visits += 1
      let key = Int(position.value)
      if isEntered {
        guard seenEntered[key] != generation else { continue }
        seenEntered[key] = generation
      } else {
        guard seen[key] != generation else { continue }
        seen[key] = generation
      }
      if acceptsAnything[position.instruction], position.mode == .anything {
        firstThatAcceptsAnything = min(firstThatAcceptsAnything ?? .max, position.instruction)
      }
      func go(_ next: Int32, _ mode: Mode? = nil) {
        work.append((Position(next, mode ?? position.mode), isEntered))
      }
      switch instructions[position.instruction] {
      case .byte:
        if position.mode != .nothing { reached.append(position) }
      case .accept:
        if position.mode != .onlyLastLineFeed { reached.append(position) }
      case .fail: break
      case .split(let first, let second):
        go(second)
        go(first)
      case .save(_, let next), .leave(_, let next): go(next)
      case .enter(let next): work.append((Position(next, position.mode.entering), true))
      case .assertStart(let next):
        if isEntered { go(next) }
      case .assertEnd(let next):
        switch (position.mode, moment) {
        case (.nothing, _), (.anything, .atEnd), (.anythingButSlash, .atEnd): go(next)
        case (.anything, .beforeEnd), (.anythingButSlash, .beforeEnd): reached.append(position)
        case (.onlyLastLineFeed, _): break
        }
      case .assertEndOrLastLineFeed(let next):
        switch (position.mode, moment) {
        case (.anything, .beforeEnd), (.anythingButSlash, .beforeEnd):
          reached.append(position)
          go(next, .onlyLastLineFeed)
        case (.anything, .atEnd), (.anythingButSlash, .atEnd), (.onlyLastLineFeed, _), (.nothing, _): go(next)
        }
      }
    }
    // A place can have been come by in both ways.
    reached.sort()
    return reached.reduce(into: []) { if $0.last != $1 { $0.append($1) } }
  }

  /// Everything reachable from the positions without reading, as far as it can still make a route win.
  ///
  /// Where a route accepts whatever follows, no route behind it can win any more, and of the route itself one place is enough:
  /// keeping them would multiply the states by all the ways in which such routes can follow each other.
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

  /// The routes that accept where the path ends at these positions, in their order.
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

  /// Where reading a byte leads from a position at a `byte` instruction: nowhere, or one or two stretches of bytes on.
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
  /// What may come right behind the beginning of a pattern.
  var entering: JointProgram.Mode { self == .anything ? .anythingButSlash : self }

  /// What may come after the byte, or nil where it may not come itself.
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
