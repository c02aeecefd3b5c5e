/// All audiences of one reactor. Each keeps its index for as long as it has members, so that the list can be visited in parts
/// while audiences come and go.
struct AudienceList {
  private var places: [Audience?] = []
  private var free: [Int] = []

  mutating func insert(_ audience: Audience) {
    while let place = free.popLast() {
      // Places beyond the end were removed together with it.
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

  /// Visits some places, beginning with the given index. Returns the index to continue with; nil at the end.
  func visit(from start: Int, most count: Int, _ visitor: (Audience) -> Void) -> Int? {
    let end = min(start + count, places.count)
    guard start < end else { return nil }
    for place in start..<end {
      if let audience = places[place] { visitor(audience) }
    }
    return end < places.count ? end : nil
  }
}
