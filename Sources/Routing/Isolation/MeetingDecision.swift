/// Decides whether two uses of groups can make the same name.
///
/// Both automata go over one name side by side, the shortest names first. The number of pairs of places is finite, so the
/// search is complete.
struct MeetingDecision {
  /// Which common names to look for.
  enum Question {
    /// Any common name.
    case anyName
    /// A name that the first use makes for one client, and the second for another: an identity field of the first has another
    /// value, or none.
    case otherIdentity
  }

  /// A name, and how each use makes it.
  struct Meeting: Hashable {
    var name: String
    /// For each part of the template, the text that fills it.
    var first: [String]
    var second: [String]
  }

  enum Verdict {
    /// There is no common name.
    case never
    /// Some common names, the shortest first; at least one.
    case meet([Meeting])
    /// The budget was used up before, or a place that appears twice in a template never had one value.
    case open
  }

  private struct Place: Hashable {
    var first: Int32
    var second: Int32
    var differs: Bool
    /// How often the pair was reached before.
    var visit = 0
  }

  private struct Step {
    var previous: Place?
    var byte: UInt8
    var firstPart: Int32
    var secondPart: Int32
    /// How many characters before it were chosen among several.
    var choices: Int
  }

  /// How far to search if there are many common names.
  enum Depth {
    /// The shortest names, which suffice in most cases.
    case few
    /// Also names through the same places, for when no path leads to the shortest ones.
    case many

    fileprivate var mostMeetings: Int { self == .few ? 6 : 60 }
    /// How many names that turn out to be impossible are looked at.
    fileprivate var mostTries: Int { self == .few ? 50 : 200 }
  }

  private let first: NameAutomaton
  private let second: NameAutomaton
  private let budget: WorkBudget
  /// For each part, the index of the first client's identity field; negative for other parts.
  private let firstFields: [Int]
  private let secondFields: [Int]
  /// For each part, whether its text is escaped.
  private let firstForms: [GroupPattern.Form]
  private let secondForms: [GroupPattern.Form]
  private let asksForOther: Bool
  private let depth: Depth
  /// The shortest name may belong to the same user for both uses, although a longer one through the same places does not.
  private var mostVisits: Int { depth == .many ? 6 : asksForOther ? 4 : 1 }

  init(
    _ first: NameAutomaton, _ second: NameAutomaton, _ question: Question, _ depth: Depth = .few,
    budget: WorkBudget
  ) {
    self.depth = depth
    self.first = first
    self.second = second
    self.budget = budget
    let fields = first.language.fields
    // Any client may have any value in a field that the second use does not ask for.
    asksForOther = question == .otherIdentity && Set(fields).isSubset(of: second.language.fields)
    firstFields = Self.numbers(first.language, fields)
    secondFields = Self.numbers(second.language, fields)
    firstForms = first.language.parts.map(\.form)
    secondForms = second.language.parts.map(\.form)
  }

  /// A field that appears in a template more than once has a number for each appearance.
  private static func numbers(_ language: NameLanguage, _ fields: [String]) -> [Int] {
    var used: Set<Int> = []
    return language.parts.map { part in
      guard let field = part.field,
        let number = fields.indices.first(where: { fields[$0] == field && !used.contains($0) })
      else { return -1 }
      used.insert(number)
      return number
    }
  }

  func verdict() -> Verdict {
    let start = Place(first: first.start, second: second.start, differs: !asksForOther)
    var steps: [Place: Step] = [:]
    // The start is not marked as visited, so that a name that leads back to it counts, and the empty name does not.
    var level: [(place: Place, step: Step?)] = [(start, nil)]
    var meetings: [Meeting] = []
    var tries = 0
    search: for length in 0...GroupName.longest {
      var next: [(place: Place, step: Step?)] = []
      for (place, step) in level {
        guard let one = first.state(place.first, budget), let other = second.state(place.second, budget),
          budget.spend(1 + one.steps.count * other.steps.count)
        else { return meetings.isEmpty ? .open : .meet(meetings) }
        if length > 0, place.differs, one.accepts, other.accepts {
          let meeting = meeting(at: place, steps)
          if isConsistent(meeting) { meetings.append(meeting) }
          tries += 1
          if meetings.count == depth.mostMeetings || tries == depth.mostTries { break search }
        }
        if length < GroupName.longest { next += goOn(from: place, after: step, one, other, &steps) }
      }
      if next.isEmpty { break }
      level = next
    }
    guard meetings.isEmpty else { return .meet(meetings) }
    return tries == 0 ? .never : .open
  }

  /// The places that one more character leads to.
  ///
  /// - Parameter step: the one that led to the place; nil at the start.
  private func goOn(
    from place: Place, after step: Step?, _ one: NameAutomaton.State, _ other: NameAutomaton.State,
    _ steps: inout [Place: Step]
  ) -> [(place: Place, step: Step?)] {
    var next: [(place: Place, step: Step?)] = []
    for ownStep in one.steps {
      for otherStep in other.steps {
        for (common, differs) in characters(ownStep, otherStep) {
          var following = Place(
            first: ownStep.next, second: otherStep.next, differs: place.differs || differs)
          while steps[following] != nil, following.visit < mostVisits { following.visit += 1 }
          guard following.visit < mostVisits else { continue }
          let choices = step?.choices ?? 0
          let taken = Step(
            previous: step == nil ? nil : place, byte: common.pick(choices), firstPart: ownStep.part,
            secondPart: otherStep.part, choices: choices + (common.count > 1 ? 1 : 0))
          steps[following] = taken
          next.append((following, taken))
        }
      }
    }
    return next
  }

  /// The characters that both can go on with, and whether a field has two values then.
  private func characters(
    _ one: NameAutomaton.Step, _ other: NameAutomaton.Step
  ) -> [(common: NameCharacters, differs: Bool)] {
    let common = one.characters.intersection(other.characters)
    let (first, second) = (Int(one.part), Int(other.part))
    if common.isEmpty { return [] }
    if !asksForOther || firstFields[first] != secondFields[second] { return [(common, asksForOther)] }
    guard firstFields[first] >= 0, firstForms[first] != secondForms[second] else { return [(common, false)] }
    // One text for a field is one value, unless it is escaped in one of the two only: ".40" is "@" there, and itself here.
    return common.split(at: GroupName.escape).map { ($0, $0.contains(GroupName.escape)) }
  }

  private func meeting(at end: Place, _ steps: [Place: Step]) -> Meeting {
    var way: [Step] = []
    var current: Place? = end
    while let place = current, let step = steps[place] {
      way.append(step)
      current = step.previous
    }
    way.reverse()
    var one = first.language.parts.map { _ in [UInt8]() }
    var other = second.language.parts.map { _ in [UInt8]() }
    for step in way {
      one[Int(step.firstPart)].append(step.byte)
      other[Int(step.secondPart)].append(step.byte)
    }
    func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
    return Meeting(name: text(way.map(\.byte)), first: one.map(text), second: other.map(text))
  }

  /// Whether each place that appears twice has one value and, if another client is looked for, it is another client.
  private func isConsistent(_ meeting: Meeting) -> Bool {
    guard let one = Self.values(first.language, meeting.first),
      let other = Self.values(second.language, meeting.second)
    else { return false }
    return !asksForOther || first.language.fields.contains { one["{\($0)}"] != other["{\($0)}"] }
  }

  /// The values of captures by name, and of identity fields by name in braces; nil if one would need two values.
  private static func values(_ language: NameLanguage, _ texts: [String]) -> [String: String]? {
    var values: [String: String] = [:]
    for (part, text) in zip(language.parts, texts) {
      var keys = part.field.map { ["{\($0)}"] } ?? []
      if case .capture(let name, _, _, _) = part { keys.append(name) }
      let value = part.form.value(of: text)
      for key in keys {
        if let known = values[key], known != value { return nil }
        values[key] = value
      }
    }
    return values
  }
}
