/// All audiences of one reactor, each at a place that it keeps for as long as it has members: what can be gone through a part at
/// a time, while audiences come and go.
struct AudienceList {
  private var places: [Audience?] = []
  private var free: [Int] = []

  mutating func insert(_ audience: Audience) {
    while let place = free.popLast() {
      // Those behind the end have gone with it.
      guard place < places.count else { continue }
      places[place] = audience
      audience.place = place
      return
    }
    audience.place = places.count
    places.append(audience)
  }

  mutating func remove(_ audience: Audience) {
    places[audience.place] = nil
    guard audience.place == places.count - 1 else { return free.append(audience.place) }
    while case .some(nil) = places.last { places.removeLast() }
    if places.isEmpty {
      places = []
      free = []
    }
  }

  /// Looks at some places, from the one with the number on.
  ///
  /// - Returns: where to go on; nil at the end.
  func visit(from start: Int, most count: Int, _ visitor: (Audience) -> Void) -> Int? {
    let end = min(start + count, places.count)
    guard start < end else { return nil }
    for place in start..<end {
      if let audience = places[place] { visitor(audience) }
    }
    return end < places.count ? end : nil
  }
}
