/// Reads the captures of a path from a route that matches it, with the preferences of a backtracking matcher (greedy first,
/// earlier alternative first), but in time proportional to the path: all threads are followed side by side.
///
/// Its memory is reused from byte to byte.
struct CaptureReader {
  private typealias Position = JointProgram.Position

  /// The threads through the program that are followed side by side, the preferred one first.
  private struct Threads {
    var positions: [Position] = []
    /// The bounds of the captures of each thread, one thread after the other.
    var slots: [Int32] = []

    mutating func removeAll() {
      positions.removeAll(keepingCapacity: true)
      slots.removeAll(keepingCapacity: true)
    }
  }

  /// Remaining work until all places that can be reached without reading are found.
  private enum Step {
    /// - Parameter isEntered: whether a pattern begins exactly here.
    case visit(Position, isEntered: Bool)
    /// All places after the bound of a capture have been visited. Its slot gets its old value back.
    case restore(slot: Int, value: Int32)
  }

  private let program: Program
  private let length: Int
  private let width: Int
  /// The captures of the current thread.
  private var slots: [Int32]
  /// The positions that were reached at the current place.
  private var seen: JointProgram.Visits
  private var steps: [Step] = []
  /// The threads that wait for the byte at the current place.
  private var threads = Threads()
  /// Where the preferred thread continues after a loop that takes the rest of the path.
  private var end: Int32?

  /// - Returns: for each capture, the range of its bytes; nil if it took no part.
  static func read(_ path: [UInt8], by program: Program) -> [Range<Int>?] {
    let slots = OnePassReader.read(path, by: program) ?? allSlots(of: path, by: program)
    return program.captures.indices.map { capture in
      guard let slots else { return nil }
      let (start, end) = (slots[2 * capture], slots[2 * capture + 1])
      return start < 0 || end < start ? nil : Int(start)..<Int(end)
    }
  }

  private static func allSlots(of path: [UInt8], by program: Program) -> [Int32]? {
    var reader = CaptureReader(program, length: path.count)
    return reader.slots(of: path)
  }

  private init(_ program: Program, length: Int) {
    self.program = program
    self.length = length
    width = program.captures.count * 2
    slots = Array(repeating: -1, count: width)
    seen = JointProgram.Visits(instructions: program.instructions.count)
  }

  /// - Returns: where each capture begins (even) and ends (odd), below 0 if it took no part; nil if nothing matches.
  private mutating func slots(of path: [UInt8]) -> [Int32]? {
    follow(Position(program.start, .anything), at: 0)
    var reading = Threads()
    for (index, byte) in path.enumerated() {
      guard end == nil else { break }
      swap(&threads, &reading)
      threads.removeAll()
      for (number, position) in reading.positions.enumerated() where end == nil {
        guard let position = step(position, byte) else { continue }
        for slot in 0..<width { slots[slot] = reading.slots[number * width + slot] }
        follow(position, at: index + 1)
      }
    }
    if let end {
      threads.removeAll()
      follow(Position(end, .anything), at: length)
    }
    // Threads are in order of preference, and the first that accepts is the match.
    let accepting = threads.positions.firstIndex { program.accepts(Int32($0.instruction)) }
    return accepting.map { Array(threads.slots[($0 * width)..<(($0 + 1) * width)]) }
  }

  private func step(_ position: Position, _ byte: UInt8) -> Position? {
    guard case .byte(let low, let high, let next) = program.instructions[position.instruction],
      low <= byte, byte <= high
    else { return nil }
    return position.mode.after(byte).map { Position(next, $0) }
  }

  /// Adds all places that can be reached without reading to the threads, the preferred ones first. Afterwards the slots have
  /// their old values, unless `end` is set.
  private mutating func follow(_ first: Position, at place: Int) {
    visit(Int32(first.instruction), first.mode, false)
    while let step = steps.popLast() {
      switch step {
      case .restore(let slot, let value): slots[slot] = value
      case .visit(let position, let isEntered):
        if seen.isNew(position, isEntered, at: place) { pass(position, isEntered, at: place) }
      }
    }
  }

  private mutating func pass(_ position: Position, _ isEntered: Bool, at place: Int) {
    let isEnd = place == length
    let mode = position.mode
    switch program.instructions[position.instruction] {
    case .byte:
      if mode != .nothing { wait(at: position) }
    case .accept:
      if isEnd, mode != .onlyLastLineFeed { wait(at: position) }
    case .fail: break
    case .split(let preferred, let other):
      if !isEnd, takesTheRest(position) {
        end = other
        return steps.removeAll()
      }
      visit(other, mode, isEntered)
      visit(preferred, mode, isEntered)
    case .save(let slot, let next):
      steps.append(.restore(slot: Int(slot), value: slots[Int(slot)]))
      slots[Int(slot)] = Int32(place)
      visit(next, mode, isEntered)
    case .leave(_, let next): visit(next, mode, isEntered)
    case .enter(let next): visit(next, mode.entering, true)
    case .assertStart(let next):
      if isEntered { visit(next, mode, true) }
    case .assertEnd(let next):
      if isEnd, mode != .onlyLastLineFeed { visit(next, mode, isEntered) }
    case .assertEndOrLastLineFeed(let next):
      switch mode {
      case .onlyLastLineFeed, .nothing: visit(next, mode, isEntered)
      case .anything, .anythingButSlash: visit(next, isEnd ? mode : .onlyLastLineFeed, isEntered)
      }
    }
  }

  /// Whether the most preferred thread is here, and stays in a loop up to the end.
  private func takesTheRest(_ position: Position) -> Bool {
    position.mode == .anything && threads.positions.isEmpty
      && program.loopsThatTakeTheRest.contains(Int32(position.instruction))
  }

  private mutating func visit(_ instruction: Int32, _ mode: JointProgram.Mode, _ isEntered: Bool) {
    steps.append(.visit(Position(instruction, mode), isEntered: isEntered))
  }

  private mutating func wait(at position: Position) {
    threads.positions.append(position)
    threads.slots += slots
  }
}
