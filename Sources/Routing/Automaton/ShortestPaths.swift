/// Visits places step by step, those nearest to the start first, and remembers how each was reached.
struct ShortestPaths<Place: Hashable, Step> {
  private var steps: [Place: (previous: Place, step: Step)] = [:]
  private var seen: Set<Place>
  /// All places that were reached, in their order.
  private var places: [Place]
  private var visited = 0

  init(from start: Place) {
    places = [start]
    seen = [start]
  }

  /// The next place; nil once all have been visited.
  mutating func next() -> Place? {
    guard visited < places.count else { return nil }
    visited += 1
    return places[visited - 1]
  }

  /// Remembers a place that a step leads to, unless a way that is as short leads there already.
  mutating func reach(_ place: Place, from previous: Place, by step: @autoclosure () -> Step) {
    guard seen.insert(place).inserted else { return }
    steps[place] = (previous, step())
    places.append(place)
  }

  /// The steps from the start to a place that was reached.
  func steps(to end: Place) -> [Step] {
    sequence(first: end) { steps[$0]?.previous }.compactMap { steps[$0]?.step }.reversed()
  }
}

extension ShortestPaths where Step == UInt8 {
  /// The path to a place that was reached, where each step is a byte.
  func path(to end: Place) -> String { String(decoding: steps(to: end), as: UTF8.self) }
}
