/// Finds patterns before nested routes that can end in more than one place.
///
/// Django matches the outer pattern first, takes the end that it prefers, and never reconsiders it. Concatenating the patterns
/// means the same only if no path offers another end, or if the preferred end is always the longest and no longer one exists.
struct PrefixAnalysis {
  /// Results for single patterns, because many routes share a pattern.
  private var hasOneEnd: [RoutePattern: Bool] = [:]
  private let budget: WorkBudget

  init(budget: WorkBudget) {
    self.budget = budget
  }

  mutating func findings(_ route: RoutePath, _ program: Program, route index: Int) -> [RouteFinding] {
    guard !program.isTooLarge else { return [] }
    return route.patterns.indices.dropLast().compactMap { number in
      let pattern = route.patterns[number]
      if isPrefixFree(pattern) { return nil }
      let decision = AmbiguityDecision(
        program: program, pattern: Int32(number), prefersLongest: pattern.expression.prefersLongest,
        budget: budget.share())
      return switch decision.verdict() {
      case .oneEnd: nil
      case .twoEnds(let example): .ambiguousPrefix(route: index, pattern: number, example: example)
      case .open: .open(route: index, .prefix(pattern: number))
      }
    }
  }

  /// Whether no text that the pattern matches is the beginning of another one.
  private mutating func isPrefixFree(_ pattern: RoutePattern) -> Bool {
    if let known = hasOneEnd[pattern] { return known }
    let builder = AutomatonBuilder([Program(RoutePath([pattern]))], budget: budget.share())
    let leadsOn = builder.map { builder in
      builder.accepted.indices.contains { !builder.accepted[$0].isEmpty && builder.leadsOn(from: $0) }
    }
    hasOneEnd[pattern] = leadsOn == false
    return leadsOn == false
  }
}

extension AutomatonBuilder {
  /// Whether an accepting state can be reached from the state by at least one byte.
  fileprivate func leadsOn(from start: Int) -> Bool {
    var seen: Set<Int> = []
    var work = [start]
    while let state = work.popLast() {
      for transition in automaton.outgoing(state) {
        let target = Int(transition.target)
        if !accepted[target].isEmpty { return true }
        if seen.insert(target).inserted { work.append(target) }
      }
    }
    return false
  }
}

/// Decides for one route whether it accepts a path although its prefix could end elsewhere.
///
/// Two readers go over the same path: one follows the whole route and leaves the prefix at one place; the other only has to
/// leave the prefix at another place.
private struct AmbiguityDecision {
  enum Verdict {
    case oneEnd
    /// A path with two possible ends.
    case twoEnds(String)
    case open
  }

  /// The state of the two readers with regard to the prefix.
  private enum Stage: Hashable {
    case bothInside
    /// The first has left, and the second may still leave later. Slashes alone between the two ends make no difference, because
    /// they are removed before the nested pattern.
    case firstLeft(readOnlySlashes: Bool)
    /// The second has left, and the first must leave later.
    case secondLeft(readOnlySlashes: Bool)
    /// They have left at different places.
    case differ

    func after(_ byte: UInt8) -> Stage {
      let isSlash = byte == UInt8(ascii: "/")
      return switch self {
      case .bothInside, .differ: self
      case .firstLeft(let onlySlashes): .firstLeft(readOnlySlashes: onlySlashes && isSlash)
      case .secondLeft(let onlySlashes): .secondLeft(readOnlySlashes: onlySlashes && isSlash)
      }
    }
  }

  private struct Pair: Hashable {
    /// The instructions that they are at.
    var first: Int32
    /// Nil once it need not be followed any more.
    var second: Int32?
    var stage: Stage
  }

  let program: Program
  /// The number of the prefix, and whether a backtracking matcher always takes its longest end.
  let pattern: Int32
  let prefersLongest: Bool
  let budget: WorkBudget

  func verdict() -> Verdict {
    let start = program.start
    var paths = ShortestPaths<Pair, UInt8>(from: Pair(first: start, second: start, stage: .bothInside))
    while let pair = paths.next() {
      guard let settled = settle(pair) else { return .open }
      for settled in settled {
        if settled.stage == .differ, program.accepts(settled.first) { return .twoEnds(paths.path(to: pair)) }
        for (byte, following) in step(settled) { paths.reach(following, from: pair, by: byte) }
      }
    }
    return .oneEnd
  }

  /// All pairs that can be reached without reading, whether or not the prefix is left on the way; nil if the budget is used up.
  private func settle(_ pair: Pair) -> [Pair]? {
    var result: [Pair] = []
    let firsts = reach(pair.first)
    let seconds = pair.second.map(reach) ?? [(nil, false)]
    guard budget.spend(firsts.count * seconds.count + 1) else { return nil }
    for (first, firstLeaves) in firsts {
      for (second, secondLeaves) in seconds {
        guard let stage = stage(pair.stage, firstLeaves, secondLeaves) else { continue }
        let isFollowed =
          switch stage {
          case .bothInside, .firstLeft: true
          case .secondLeft, .differ: false
          }
        result.append(Pair(first: first ?? pair.first, second: isFollowed ? second : nil, stage: stage))
      }
    }
    return result
  }

  /// Nil if both readers leave at the same place, or if a longer end is required and the other one is shorter.
  private func stage(_ stage: Stage, _ firstLeaves: Bool, _ secondLeaves: Bool) -> Stage? {
    switch (stage, firstLeaves, secondLeaves) {
    case (.bothInside, false, false): .bothInside
    case (.bothInside, true, false): .firstLeft(readOnlySlashes: true)
    case (.bothInside, false, true): prefersLongest ? nil : .secondLeft(readOnlySlashes: true)
    case (.bothInside, true, true): nil
    case (.firstLeft(let readOnlySlashes), _, true): readOnlySlashes ? nil : .differ
    case (.firstLeft, _, false): stage
    case (.secondLeft(let readOnlySlashes), true, _): readOnlySlashes ? nil : .differ
    case (.secondLeft, false, _): stage
    case (.differ, _, _): .differ
    }
  }

  /// The places that can be reached without reading, and whether the end of the prefix was passed. Assertions are assumed to
  /// hold, so that at worst a path too many is found.
  private func reach(_ start: Int32) -> [(Int32?, Bool)] {
    var result: [(Int32?, Bool)] = []
    var seen: Set<Int> = []
    var work: [(Int32, Bool)] = [(start, false)]
    while let (place, hasLeft) = work.popLast() {
      // Once the budget is used up, nothing is decided, so the missing places do not matter.
      guard budget.spend() else { return [] }
      guard seen.insert(Int(place) * 2 + (hasLeft ? 1 : 0)).inserted else { continue }
      let instruction = program.instructions[Int(place)]
      switch instruction {
      case .byte, .accept: result.append((place, hasLeft))
      case .leave(let number, let next): work.append((next, hasLeft || number == pattern))
      case .fail, .split, .save, .enter, .assertStart, .assertEnd, .assertEndOrLastLineFeed:
        work += instruction.passedTo.map { ($0, hasLeft) }
      }
    }
    return result
  }

  /// Slashes are read separately from other bytes, because slashes alone make no difference.
  private func step(_ pair: Pair) -> [(UInt8, Pair)] {
    guard let (bytes, next) = program.step(at: pair.first) else { return [] }
    var common = bytes
    var second: Int32?
    if let other = pair.second {
      guard let (otherBytes, otherNext) = program.step(at: other), bytes.overlaps(otherBytes) else {
        return []
      }
      common = bytes.clamped(to: otherBytes)
      second = otherNext
    }
    let slash = UInt8(ascii: "/")
    let samples =
      (common == slash...slash ? [] : [readable(common)]) + (common.contains(slash) ? [slash] : [])
    return samples.map { ($0, Pair(first: next, second: second, stage: pair.stage.after($0))) }
  }

  /// A byte of the range that is not a slash, if the range has one.
  private func readable(_ range: ClosedRange<UInt8>) -> UInt8 {
    if range.contains(UInt8(ascii: "a")) { return UInt8(ascii: "a") }
    return range.lowerBound == UInt8(ascii: "/") ? range.upperBound : range.lowerBound
  }
}

extension Expression {
  /// Whether a backtracking matcher always ends where the longest match ends: it has nothing lazy, no alternatives (an earlier,
  /// shorter one would be preferred), and no two parts of which one could consume what the other needs.
  fileprivate var prefersLongest: Bool {
    switch self {
    case .characters, .start, .end, .endOrLastLineFeed: true
    case .sequence(let parts):
      parts.allSatisfy(\.prefersLongest) && parts.count { !$0.hasOneLength } <= 1
    case .alternatives: false
    case .repetition(let inner, _, _, let preference):
      // With "(?:a{2,3})*" on four letters, the first repetition takes three, and no second one fits.
      preference == .greedy && inner.prefersLongest && inner.hasOneLength
    case .capture(_, let inner): inner.prefersLongest
    }
  }

  private var hasOneLength: Bool {
    switch self {
    case .characters, .start, .end, .endOrLastLineFeed: true
    case .sequence(let parts): parts.allSatisfy(\.hasOneLength)
    case .alternatives: false
    case .repetition(let inner, let least, let most, _): least == most && inner.hasOneLength
    case .capture(_, let inner): inner.hasOneLength
    }
  }
}
