/// Finds the uses with equal names, the other uses with common names, and how they make these names.
final class MeetingTable {
  /// Uses with equal names, in one layer.
  private struct Names: Hashable {
    var layer: String
    var language: NameLanguage
  }

  private struct Pair: Hashable {
    var first: Int
    var second: Int
    var question: MeetingDecision.Question
    var depth = MeetingDecision.Depth.few
  }

  private struct Search: Hashable {
    var use: Int
    var values: [String: String]
  }

  enum Shown {
    /// Earlier routes answer all paths that would lead to the name.
    case never
    case shown(Encounter.Example)
    /// No path was found for at least one of the two; nil if no name is known.
    case open(Encounter.Example?)
  }

  private let uses: [GroupUse]
  private let budget: WorkBudget
  private var names: [Names] = []
  /// For each use; nil if it names a capture that does not exist.
  private(set) var namesOfUse: [Int?] = []
  private var automata: [Int: NameAutomaton?] = [:]
  private var verdicts: [Pair: MeetingDecision.Verdict] = [:]
  private var searches: [Search: ProductSearch.Result] = [:]

  init(_ uses: [GroupUse], budget: WorkBudget) {
    self.uses = uses
    self.budget = budget
    var numbers: [Names: Int] = [:]
    namesOfUse = uses.map { use in
      NameLanguage(use).map { language in
        let own = Names(layer: use.layer, language: language)
        if let known = numbers[own] { return known }
        numbers[own] = names.count
        names.append(own)
        return names.count - 1
      }
    }
  }

  /// All pairs that are not told apart by their first and last characters, each once, including those with equal names.
  func forEachCandidate(_ body: (Int, Int) -> Void) {
    let order = names.indices.sorted { one, other in
      let (first, second) = (names[one], names[other])
      guard first.layer == second.layer else { return first.layer < second.layer }
      return first.language.prefix.lexicographicallyPrecedes(second.language.prefix)
    }
    let endings = order.map { Ending(names[$0].language.suffix) }
    for (place, one) in order.enumerated() {
      body(one, one)
      let (layer, prefix) = (names[one].layer, names[one].language.prefix)
      // Uses that can begin alike are next to each other.
      for otherPlace in (place + 1)..<max(place + 1, order.count) {
        let other = order[otherPlace]
        guard names[other].layer == layer, names[other].language.prefix.starts(with: prefix) else { break }
        if endings[place].mayEqual(endings[otherPlace]) { body(one, other) }
      }
    }
  }

  /// - Parameter first: the use whose identity the question is about.
  func verdict(
    _ first: Int, _ second: Int, _ question: MeetingDecision.Question, _ depth: MeetingDecision.Depth = .few
  ) -> MeetingDecision.Verdict {
    let pair = Pair(first: first, second: second, question: question, depth: depth)
    if let known = verdicts[pair] { return known }
    var verdict = MeetingDecision.Verdict.open
    if let one = automaton(first), let other = automaton(second) {
      verdict = MeetingDecision(one, other, question, depth, budget: budget.share()).verdict()
    }
    verdicts[pair] = verdict
    return verdict
  }

  private func automaton(_ number: Int) -> NameAutomaton? {
    if let known = automata[number] { return known }
    let automaton = NameAutomaton(names[number].language)
    automata.updateValue(automaton, forKey: number)
    return automaton
  }

  /// Whether a template can make a name that begins with `sluice.`, or a pattern matches only such names.
  ///
  /// - Returns: such names, or that this was not decided; nil if a capture does not exist.
  func reservedNames(of use: Int) -> MeetingDecision.Verdict? {
    guard let number = namesOfUse[use] else { return nil }
    let language = names[number].language
    let isPattern = uses[use].pattern.hasManyNames
    guard !isPattern || language.prefix.starts(with: NameLanguage.reserved.prefix) else { return nil }
    guard language.mayMeet(.reserved) else { return .never }
    guard let own = automaton(number), let reserved = NameAutomaton(.reserved) else { return .open }
    return MeetingDecision(own, reserved, .anyName, budget: budget.share()).verdict()
  }

  // MARK: - Examples

  /// A common name of the two uses to which paths lead. The other use is the first one in it.
  func example(_ one: Int, _ other: Int, _ question: MeetingDecision.Question) -> Shown {
    guard let names = namesOfUse[one], let otherNames = namesOfUse[other] else { return .never }
    var result = Shown.open(nil)
    for depth in [MeetingDecision.Depth.few, .many] {
      switch verdict(otherNames, names, question, depth) {
      case .never: return .never
      case .open: break
      case .meet(let meetings): result = example(one, other, meetings)
      }
      guard case .open(.some) = result else { break }
    }
    return result
  }

  /// The first of the common names to which paths lead.
  func example(_ one: Int, _ other: Int, _ meetings: [MeetingDecision.Meeting]) -> Shown {
    var open: Encounter.Example?
    for meeting in meetings {
      let otherPath = path(of: other, meeting.first)
      let path = path(of: one, meeting.second)
      if case .none = path { continue }
      if case .none = otherPath { continue }
      let example = Encounter.Example(
        name: meeting.name, path: path.path, otherPath: otherPath.path,
        identity: identity(of: one, meeting.second), otherIdentity: identity(of: other, meeting.first))
      if example.path != nil, example.otherPath != nil { return .shown(example) }
      open = open ?? example
    }
    if let open { return .open(open) }
    guard let first = meetings.first, !hasOneReading(one, other) else { return .never }
    return .open(
      Encounter.Example(
        name: first.name, path: nil, otherPath: nil, identity: identity(of: one, first.second),
        otherIdentity: identity(of: other, first.first)))
  }

  /// Whether the two have at most one name in common, and each can be read in one way only.
  private func hasOneReading(_ one: Int, _ other: Int) -> Bool {
    let places = [one, other].map { use in
      uses[use].pattern.parts.count { if case .literal = $0 { false } else { true } }
    }
    return places.contains(0) && places.allSatisfy { $0 <= 1 }
  }

  private func path(of use: Int, _ texts: [String]) -> ProductSearch.Result {
    var values: [String: String] = [:]
    for case (.capture(let name, let form), let text) in zip(uses[use].pattern.parts, texts) {
      values[name] = form.value(of: text)
    }
    let search = Search(use: use, values: values)
    if let known = searches[search] { return known }
    let result = uses[use].router.search(ofRoute: uses[use].route, with: values, budget: budget)
    searches[search] = result
    return result
  }

  private func identity(of use: Int, _ texts: [String]) -> [String: String] {
    var values: [String: String] = [:]
    for (part, text) in zip(uses[use].pattern.parts, texts) {
      switch part {
      case .identity(let field, let form): values[field] = form.value(of: text)
      case .capture(let name, let form):
        if let field = uses[use].ties[name] { values[field] = form.value(of: text) }
      case .literal, .converted, .anything: break
      }
    }
    return values
  }
}

/// The last characters of the text that every name ends with.
private struct Ending {
  private var characters: UInt64 = 0
  private var length = 0

  init(_ suffix: [UInt8]) {
    for byte in suffix.reversed().prefix(8) {
      characters |= UInt64(byte) << UInt64(8 * length)
      length += 1
    }
  }

  func mayEqual(_ other: Ending) -> Bool {
    let common = min(length, other.length)
    let mask: UInt64 = common == 8 ? .max : 1 << UInt64(8 * common) - 1
    return (characters ^ other.characters) & mask == 0
  }
}

extension ProductSearch.Result {
  fileprivate var path: String? {
    if case .found(let path) = self { path } else { nil }
  }
}
