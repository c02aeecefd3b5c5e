@testable import Routing

/// What a table of routes means, read straight from the expressions: sets of places where a match can end, over characters
/// instead of bytes, without an automaton.
struct Reference {
  private let text: [Unicode.Scalar]

  init(_ text: String) {
    self.text = Array(text.unicodeScalars.drop { $0 == "/" })
  }

  func winner(of routes: [RoutePath]) -> Int? {
    routes.firstIndex(where: matches)
  }

  func matches(_ route: RoutePath) -> Bool {
    var places: Set<Int> = [0]
    for (number, pattern) in route.patterns.enumerated() {
      if number > 0 { places = Set(places.map(skipSlashes)) }
      places = Set(places.flatMap { ends(pattern.expression, at: $0, start: $0) })
    }
    return places.contains(text.count)
  }

  private func skipSlashes(_ place: Int) -> Int {
    text[place...].firstIndex { $0 != "/" } ?? text.count
  }

  private func ends(_ expression: Expression, at place: Int, start: Int) -> Set<Int> {
    switch expression {
    case .characters(let set):
      guard place < text.count, set.ranges.contains(where: { $0.contains(text[place].value) }) else {
        return []
      }
      return [place + 1]
    case .sequence(let parts):
      return parts.reduce([place]) { places, part in
        Set(places.flatMap { ends(part, at: $0, start: start) })
      }
    case .alternatives(let alternatives):
      return Set(alternatives.flatMap { ends($0, at: place, start: start) })
    case .repetition(let inner, let least, let most, _):
      var result: Set<Int> = least == 0 ? [place] : []
      var places: Set<Int> = [place]
      for count in 1...max(1, min(most ?? Int.max, least + text.count + 1)) where most != 0 {
        places = Set(places.flatMap { ends(inner, at: $0, start: start) })
        if count >= least { result.formUnion(places) }
      }
      return result
    case .capture(_, let inner): return ends(inner, at: place, start: start)
    case .start: return place == start ? [place] : []
    case .end: return place == text.count ? [place] : []
    case .endOrLastLineFeed:
      return place == text.count || place == text.count - 1 && text[place] == "\n" ? [place] : []
    }
  }
}

// MARK: - Captures

extension Reference {
  /// What each capture of a pattern is, found as a backtracking matcher does: one way after the other, the preferred one first.
  ///
  /// - Returns: nil where the pattern does not match.
  func captures(_ pattern: RoutePattern) -> [String: String]? {
    guard
      let found = way(pattern.expression, at: 0, [:], { place, found in place == text.count ? found : nil })
    else { return nil }
    var named: [String: String] = [:]
    for (number, range) in found {
      var value = String.UnicodeScalarView()
      value.append(contentsOf: text[range])
      named[pattern.captures[number].name] = String(value)
    }
    return named
  }

  private typealias Found = [Int: Range<Int>]

  private func way(_ expression: Expression, at place: Int, _ found: Found, _ goOn: (Int, Found) -> Found?)
    -> Found?
  {
    switch expression {
    case .sequence(let parts):
      guard let first = parts.first else { return goOn(place, found) }
      return way(first, at: place, found) { way(.sequence(Array(parts.dropFirst())), at: $0, $1, goOn) }
    case .alternatives(let alternatives):
      for alternative in alternatives {
        if let found = way(alternative, at: place, found, goOn) { return found }
      }
      return nil
    case .capture(let number, let inner):
      return way(inner, at: place, found) { end, found in
        goOn(end, found.merging([number: place..<end]) { $1 })
      }
    case .repetition(let inner, let least, let most, let preference):
      guard most != 0 else { return goOn(place, found) }
      func again() -> Found? {
        let rest = Expression.repetition(
          inner, least: max(0, least - 1), most: most.map { $0 - 1 }, preference: preference)
        // What matches nothing is not tried again at the same place.
        return way(inner, at: place, found) { $0 == place && least == 0 ? nil : way(rest, at: $0, $1, goOn) }
      }
      guard least == 0 else { return again() }
      return preference == .greedy ? again() ?? goOn(place, found) : goOn(place, found) ?? again()
    case .characters, .start, .end, .endOrLastLineFeed:
      return ends(expression, at: place, start: 0).first.flatMap { goOn($0, found) }
    }
  }
}
