/// Takes the captures of a path that a route is known to match, with the preferences of a backtracking matcher (greedy
/// first, earlier alternative first), but in time proportional to the path: all ways are followed side by side.
struct CaptureReader {
  private typealias Position = JointProgram.Position

  private struct Thread {
    var position: Position
    var slots: [Int32]
  }

  private let program: Program

  /// Which positions were come by at the current place; right behind the beginning of a pattern counts apart, as its
  /// `start` passes only there.
  private struct Seen {
    private var plain: [Int]
    private var entered: [Int]

    init(count: Int) {
      plain = Array(repeating: -1, count: count)
      entered = plain
    }

    mutating func isNew(_ position: Position, _ isEntered: Bool, at place: Int) -> Bool {
      let key = Int(position.value)
      if isEntered {
        guard entered[key] != place else { return false }
        entered[key] = place
      } else {
        guard plain[key] != place else { return false }
        plain[key] = place
      }
      return true
    }
  }

  init(_ program: Program) {
    self.program = program
  }

  /// - Returns: by capture, the range of its bytes; nil for one that took no part.
  func read(_ path: [UInt8]) -> [Range<Int>?] {
    let empty = [Int32](repeating: -1, count: program.captures.count * 2)
    var seen = Seen(count: program.instructions.count << 2)
    var threads: [Thread] = []
    follow(
      Thread(position: Position(program.start, .anything), slots: empty), at: 0, isEnd: path.isEmpty,
      into: &threads,
      &seen)
    for (index, byte) in path.enumerated() {
      var next: [Thread] = []
      for thread in threads {
        guard let position = step(thread.position, byte) else { continue }
        follow(
          Thread(position: position, slots: thread.slots), at: index + 1, isEnd: index + 1 == path.count,
          into: &next, &seen)
      }
      threads = next
    }
    // Threads are in order of preference, and the first that accepts is the match.
    let accepting = threads.first { thread in
      if case .accept = program.instructions[thread.position.instruction] { true } else { false }
    }
    guard let slots = accepting?.slots else { return Array(repeating: nil, count: program.captures.count) }
    return (0..<program.captures.count).map { capture in
      let (start, end) = (slots[2 * capture], slots[2 * capture + 1])
      return start < 0 || end < start ? nil : Int(start)..<Int(end)
    }
  }

  private func step(_ position: Position, _ byte: UInt8) -> Position? {
    guard case .byte(let low, let high, let next) = program.instructions[position.instruction],
      low <= byte, byte <= high
    else { return nil }
    return position.mode.after(byte).map { Position(next, $0) }
  }

  /// Adds every place reachable without reading, the preferred ones first.
  private func follow(
    _ first: Thread, at place: Int, isEnd: Bool, into threads: inout [Thread], _ seen: inout Seen
  ) {
    var work: [(thread: Thread, isEntered: Bool)] = [(first, false)]
    while let (current, isEntered) = work.popLast() {
      var thread = current
      guard seen.isNew(thread.position, isEntered, at: place) else { continue }
      func go(_ next: Int32, _ mode: JointProgram.Mode? = nil, entering: Bool = false) {
        var following = thread
        following.position = Position(next, mode ?? thread.position.mode)
        work.append((following, isEntered || entering))
      }
      switch program.instructions[thread.position.instruction] {
      case .byte:
        if thread.position.mode != .nothing { threads.append(thread) }
      case .accept:
        if isEnd, thread.position.mode != .onlyLastLineFeed { threads.append(thread) }
      case .fail: break
      case .split(let preferred, let other):
        go(other)
        go(preferred)
      case .save(let slot, let next):
        thread.slots[Int(slot)] = Int32(place)
        go(next)
      case .leave(_, let next): go(next)
      case .enter(let next): go(next, thread.position.mode.entering, entering: true)
      case .assertStart(let next):
        if isEntered { go(next) }
      case .assertEnd(let next):
        if isEnd, thread.position.mode != .onlyLastLineFeed { go(next) }
      case .assertEndOrLastLineFeed(let next):
        switch thread.position.mode {
        case .onlyLastLineFeed, .nothing: go(next)
        case .anything, .anythingButSlash: if isEnd { go(next) } else { go(next, .onlyLastLineFeed) }
        }
      }
    }
  }
}
