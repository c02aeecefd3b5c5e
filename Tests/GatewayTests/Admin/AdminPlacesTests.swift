import Testing

@testable import Gateway

struct AdminPlacesTests {
  /// As many connections as there may be, with numbers from 1 on.
  private static func full(_ entrance: AdminPlaces.Entrance) -> AdminPlaces {
    var places = AdminPlaces()
    for number in 1...AdminPlaces.mostConnections { _ = places.come(number, by: entrance) }
    return places
  }

  @Test func `who has asked nothing gives way, and nobody who is owed an answer`() {
    var places = Self.full(.socket)
    _ = places.begin(.order, for: 1)
    _ = places.begin(.plan, for: 2)
    _ = places.answers(2)
    _ = places.begin(.question, for: 3)
    let leaving1 = places.come(100, by: .socket)
    #expect(leaving1 == 4)
    _ = places.answers(5)
    places.answered(5)
    let leaving2 = places.come(101, by: .socket)
    #expect(leaving2 == 5)
    #expect(places.phases.map(\.number).prefix(3) == [1, 2, 3])
  }

  @Test func `where all are owed something, those go who do not read what they can ask again`() {
    var places = Self.full(.socket)
    _ = places.begin(.order, for: 1)
    _ = places.answers(1)
    for number in 2...AdminPlaces.mostConnections {
      let hasPlace3 = places.begin(.sign, for: number)
      #expect(hasPlace3)
      _ = places.answers(number)
      places.end(number)
    }
    let leaving4 = places.come(100, by: .socket)
    #expect(leaving4 == 2)
    #expect(places.phases.contains { $0.number == 1 })
  }

  @Test func `a new one ends itself where nobody gives way`() {
    var places = Self.full(.socket)
    for number in 1...AdminPlaces.mostConnections { _ = places.begin(.sign, for: number) }
    let leaving5 = places.come(100, by: .socket)
    #expect(leaving5 == 100)
    #expect(places.phases.count == AdminPlaces.mostConnections)
  }

  @Test func `the loopback address takes no place of the socket`() {
    var places = Self.full(.loopback)
    for number in 1...3 {
      let hasPlace6 = places.begin(.plan, for: number)
      #expect(hasPlace6)
    }
    let hasPlace7 = places.begin(.plan, for: 4)
    #expect(!hasPlace7)
    for number in 101...(100 + AdminPlaces.mostConnections) {
      let leaving8 = places.come(number, by: .socket)
      #expect(leaving8 == nil)
    }
    let hasPlace9 = places.begin(.plan, for: 101)
    #expect(hasPlace9)
    #expect(places.phases.count == 2 * AdminPlaces.mostConnections)
  }

  @Test func `what is carried out counts until it has ended, also without its client`() {
    var places = Self.full(.socket)
    for number in 1...3 {
      let hasPlace10 = places.begin(.plan, for: number)
      #expect(hasPlace10)
      let isCancelled = places.leave(number)
      #expect(isCancelled)
    }
    let hasPlace11 = places.begin(.plan, for: 4)
    #expect(!hasPlace11)
    #expect(!places.isWanted(1))
    // Others have places of their own.
    for kind in [AdminPlaces.Kind.sign, .question, .order] {
      let hasPlace12 = places.begin(kind, for: 5)
      #expect(hasPlace12)
    }
    places.end(1)
    let hasPlace13 = places.begin(.plan, for: 4)
    #expect(hasPlace13)
  }

  @Test func `an order goes on without its client`() {
    var places = Self.full(.socket)
    _ = places.begin(.order, for: 1)
    let isCancelled = places.leave(1)
    #expect(!isCancelled && places.isWanted(1))
    places.end(1)
    #expect(!places.isWanted(1))
  }

  @Test func `a plan that is not read has its place until the client is gone`() {
    var places = Self.full(.socket)
    for number in 1...3 {
      _ = places.begin(.plan, for: number)
      let isOwed14 = places.answers(number)
      #expect(isOwed14)
      places.end(number)
    }
    let hasPlace15 = places.begin(.plan, for: 4)
    #expect(!hasPlace15)
    places.answered(1)
    let hasPlace16 = places.begin(.plan, for: 4)
    #expect(hasPlace16)
    let isCancelled = places.leave(2)
    #expect(!isCancelled)
    let hasPlace17 = places.begin(.plan, for: 5)
    #expect(hasPlace17)
  }
}
