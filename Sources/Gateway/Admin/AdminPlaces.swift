/// Who is connected for commands, and what is being carried out for whom: who is let in, and who gives way.
///
/// Connections of the Unix socket and of the loopback address, to which anybody on the machine can connect, have places of their own. What
/// is carried out has its place until it has ended, whether its client is still there or not.
struct AdminPlaces: Sendable {
  enum Entrance: Sendable { case socket, loopback }

  /// What a request costs, and what it keeps others from.
  enum Kind: Sendable {
    /// It costs next to nothing.
    case sign
    case question
    /// Has a configuration in memory, and perhaps a second one.
    case plan
    /// Goes on without its client.
    case order

    /// As many are carried out at a time for each entrance; nil where connections alone bound them.
    var most: Int? {
      switch self {
      case .sign: nil
      case .question: 6
      case .plan: 3
      case .order: 3
      }
    }

    /// For those who come when there are as many.
    var refusal: String {
      switch self {
      case .sign, .question: "too many requests are being carried out; ask again"
      case .plan:
        "\(most ?? 0) plans or configurations are being made already, and more would take too much memory: ask again when one of them is done"
      case .order:
        "\(most ?? 0) orders are being carried out already; \"sluice status\" says which one is under way"
      }
    }

    /// Whether its answer has a place of its own until the client has read it.
    fileprivate var keepsAnswer: Bool { [.plan, .order].contains(self) }
  }

  enum Phase: Sendable {
    case reading
    /// Its request is being carried out.
    case asking
    case writing
    /// Nothing more is owed to it.
    case answered
  }

  private struct Connection {
    let number: Int
    let entrance: Entrance
    var phase = Phase.reading
    var kind: Kind?
  }

  private struct Work {
    let entrance: Entrance
    let kind: Kind
    var isOver = false
    /// Whether the client is there, and has no answer yet.
    var isOwed = true
  }

  /// In the order in which they came.
  private var connections: [Connection] = []
  /// By the numbers of their connections.
  private var works: [Int: Work] = [:]

  /// The most connections at a time, for each entrance.
  static let mostConnections = 16

  var isEmpty: Bool { connections.isEmpty }
  /// Whether nobody waits for an answer.
  var isQuiet: Bool { connections.allSatisfy { $0.phase == .answered } }

  /// The connections, and how far they are.
  var phases: [(number: Int, phase: Phase)] { connections.map { ($0.number, $0.phase) } }

  /// Takes a connection in.
  ///
  /// - Returns: the number of the one that has to end for it; its own where nobody gives way.
  mutating func come(_ number: Int, by entrance: Entrance) -> Int? {
    guard connections.count(where: { $0.entrance == entrance }) >= Self.mostConnections else {
      connections.append(Connection(number: number, entrance: entrance))
      return nil
    }
    let others = connections.filter { $0.entrance == entrance }
    let leaving =
      others.first { [.reading, .answered].contains($0.phase) }
      // It can ask again, and has not read what it was told.
      ?? others.first { $0.phase == .writing && $0.kind?.keepsAnswer != true }
    guard let leaving else { return number }
    _ = leave(leaving.number)
    connections.append(Connection(number: number, entrance: entrance))
    return leaving.number
  }

  /// Gives what a connection has asked for a place.
  ///
  /// - Returns: false where there is none.
  mutating func begin(_ kind: Kind, for number: Int) -> Bool {
    guard let place = place(of: number) else { return false }
    let entrance = connections[place].entrance
    let others = works.values.count { $0.kind == kind && $0.entrance == entrance }
    guard others < kind.most ?? .max else { return false }
    connections[place].kind = kind
    connections[place].phase = .asking
    works[number] = Work(entrance: entrance, kind: kind)
    return true
  }

  /// Whether what a connection has asked for is to be carried out: nobody reads the answer to a question whose client is gone.
  func isWanted(_ number: Int) -> Bool { works[number].map { $0.kind == .order || $0.isOwed } ?? false }

  /// It was carried out.
  mutating func end(_ number: Int) {
    works[number]?.isOver = true
    tidy(number)
  }

  /// - Returns: false where the connection has its answer, or is closed.
  mutating func answers(_ number: Int) -> Bool {
    guard let place = place(of: number), [.reading, .asking].contains(connections[place].phase) else {
      return false
    }
    connections[place].phase = .writing
    if connections[place].kind?.keepsAnswer != true { works[number]?.isOwed = false }
    tidy(number)
    return true
  }

  /// The client has its answer.
  mutating func answered(_ number: Int) {
    if let place = place(of: number) { connections[place].phase = .answered }
    works[number]?.isOwed = false
    tidy(number)
  }

  /// The connection is closed.
  ///
  /// - Returns: whether what is being carried out for it is not wanted any more.
  mutating func leave(_ number: Int) -> Bool {
    connections.removeAll { $0.number == number }
    works[number]?.isOwed = false
    tidy(number)
    return works[number] != nil && !isWanted(number)
  }

  private func place(of number: Int) -> Int? { connections.firstIndex { $0.number == number } }

  private mutating func tidy(_ number: Int) {
    if let work = works[number], work.isOver, !work.isOwed { works[number] = nil }
  }
}
