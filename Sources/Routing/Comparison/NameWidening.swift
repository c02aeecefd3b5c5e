/// Whether some patterns of groups match a name that others do not.
package enum NameWidening: Sendable, Hashable {
  case none
  /// A name that only the new patterns match. What fills a place is written as the place: `user_{user}`.
  case shown(name: String)
  /// It was not decided.
  case open

  /// What fills a place counts as the same text in all patterns, whatever it is.
  ///
  /// - Parameter old: those that were there before.
  package init(from old: [GroupPattern], to new: [GroupPattern], budget: WorkBudget) {
    if Set(new).isSubset(of: old) {
      self = .none
      return
    }
    let places = (old + new).flatMap(\.places).reduce(into: [GroupPattern.Part]()) {
      if !$0.contains($1) { $0.append($1) }
    }
    func language(_ patterns: [GroupPattern]) -> RouteLanguage? {
      let names = Expression.alternatives(patterns.map { $0.names(places) })
      return RouteLanguage(Program(language: names), budget: budget.share())
    }
    guard let wide = language(new), let narrow = language(old) else {
      self = .open
      return
    }
    switch wide.shortest(without: narrow, budget: budget.share()) {
    case .none: self = .none
    case .open: self = .open
    case .found(let name): self = .shown(name: GroupPattern.shown(name, places))
    }
  }
}

extension GroupPattern {
  /// The parts that are filled for each client.
  fileprivate var places: [Part] {
    parts.filter { part in
      switch part {
      case .capture, .identity: true
      case .literal, .converted, .anything: false
      }
    }
  }

  /// Private use: no name has such a character.
  private static let firstMark: UInt32 = 0xE000

  /// The names, with a character of its own for each place.
  fileprivate func names(_ places: [Part]) -> Expression {
    let marks =
      places.isEmpty
      ? CharacterRanges([]) : CharacterRanges([Self.firstMark...(Self.firstMark + UInt32(places.count - 1))])
    return .sequence(
      parts.map { part in
        switch part {
        case .literal(let text): return .text(text)
        case .converted(let converter, _): return converter.values.limited(to: .legalInNames)
        case .anything:
          return .repetition(
            .characters(CharacterRanges.legalInNames.union(marks)), least: 0, most: nil, preference: .greedy)
        case .capture, .identity:
          let number = places.firstIndex(of: part) ?? 0
          let mark = Self.firstMark + UInt32(number)
          return .characters(CharacterRanges([mark...mark]))
        }
      })
  }

  fileprivate static func shown(_ name: String, _ places: [Part]) -> String {
    name.unicodeScalars.map { scalar in
      let number = Int(scalar.value) - Int(firstMark)
      return places.indices.contains(number) ? GroupPattern(parts: [places[number]]).text : String(scalar)
    }.joined()
  }
}
