import Transport

/// The questions of one route that are under way or wait, over all workers: how many there may be, whose turn it is, and whether the view
/// answers at all. A pure value. How often reports come is for their `ReportLane` to say.
///
/// Any number may wait, as those who ask have bounds: a session has `ViewRules.mostAtOnce` questions, and a worker as many reports as its
/// `ReportLane` is wide. Whoever was turned away here would fail although the view is only slow.
struct ViewQueue: Sendable {
  struct ID: Hashable, Sendable {
    /// The number of the worker, and its ticket.
    var worker: Int
    var ticket: Int
  }

  /// One that wants to be asked.
  struct Entry: Sendable, Equatable {
    var id: ID
    var lane: ViewTerms.Lane
    var asker: String
    /// Whether it is refused where the view answers nobody: a client that wants to connect does not wait for that.
    var isRefusable: Bool
    /// Whether its client is not let in yet.
    var isComing = false
  }

  enum Verdict: Sendable, Equatable {
    case go
    case waits
    /// The view answers nobody.
    case viewIsAway
  }

  /// How a question ended that was under way.
  enum Ending: Sendable, Equatable {
    case answered
    /// The view did not answer.
    case failed
    /// Nothing of it was sent.
    case unasked
  }

  /// The end of the wait of one that did not go at once.
  struct Call: Sendable, Equatable {
    var id: ID
    var lane: ViewTerms.Lane
    /// `go`, or `viewIsAway`.
    var verdict: Verdict
  }

  /// After so many questions of clients a report has its turn, so that it does not wait for ever.
  private static let clientsPerReport = 8

  private let most: Int
  private var clients = ClientQueue<ID>()
  private var reports = FairQueue<ID>()
  private var refusable: Set<ID> = []
  private(set) var underWay = 0
  private var reportsUnderWay = 0
  private var clientsSinceReport = 0
  private var circuit = ViewCircuit()
  /// No client comes any more that a place is kept for.
  private var isEnding = false

  /// - Parameter most: how many may be under way.
  init(most: Int) {
    self.most = most
  }

  /// Since when the view has answered nobody; nil while it answers.
  var openSince: MonotonicTime? { circuit.openSince }
  var waiting: Int { clients.count + reports.count }

  /// Where it waits, the caller has to ask for `calls`: it may be this one's turn.
  mutating func enter(_ entry: Entry, at now: MonotonicTime) -> Verdict {
    if hasTurn(entry), mayGo(entry.lane, at: now) {
      begin(entry.id, entry.lane, at: now)
      return .go
    }
    if circuit.isOpen, entry.isRefusable { return .viewIsAway }
    switch entry.lane {
    case .clients: clients.append(entry.id, of: entry.asker, isComing: entry.isComing)
    case .reports: reports.append(entry.id, of: entry.asker)
    }
    if entry.isRefusable { refusable.insert(entry.id) }
    return .waits
  }

  /// Whether nobody's turn comes before. One that does not wait for a view that is away asks it instead of others.
  private func hasTurn(_ entry: Entry) -> Bool {
    if circuit.isOpen, entry.isRefusable { return true }
    return switch entry.lane {
    case .clients: clients.isEmpty && (reports.isEmpty || clientsSinceReport < Self.clientsPerReport)
    case .reports: waiting == 0
    }
  }

  /// It does not want to be asked any more.
  ///
  /// - Returns: false if it did not wait.
  mutating func forget(_ id: ID) -> Bool {
    refusable.remove(id)
    return clients.remove(id) || reports.remove(id)
  }

  mutating func leave(
    _ id: ID, _ lane: ViewTerms.Lane, _ ending: Ending, at now: MonotonicTime
  ) -> ViewCircuit.Change? {
    underWay -= 1
    if lane == .reports { reportsUnderWay -= 1 }
    switch ending {
    case .answered: return circuit.answered(at: now)
    case .failed: return circuit.failed(id, at: now)
    case .unasked:
      circuit.unasked(id)
      return nil
    }
  }

  /// Those whose wait is over now.
  mutating func calls(at now: MonotonicTime) -> [Call] {
    guard waiting > 0 else { return [] }
    var calls: [Call] = []
    while let call = callNext(at: now) { calls.append(call) }
    if circuit.isOpen, !refusable.isEmpty {
      for id in refusable {
        if clients.remove(id) { calls.append(Call(id: id, lane: .clients, verdict: .viewIsAway)) }
        if reports.remove(id) { calls.append(Call(id: id, lane: .reports, verdict: .viewIsAway)) }
      }
      refusable = []
    }
    return calls
  }

  /// When `calls` is worth asking again; nil if the end of a question comes first, or nobody waits.
  func nextCall(at now: MonotonicTime) -> MonotonicTime? {
    guard waiting > 0, underWay < most, let next = circuit.next(at: now) else { return nil }
    guard clients.isEmpty else { return next > now ? next : nil }
    return reportsUnderWay < mostReportsNow ? next : nil
  }

  // MARK: - Whose turn it is

  private func mayGo(_ lane: ViewTerms.Lane, at now: MonotonicTime) -> Bool {
    guard underWay < most, let next = circuit.next(at: now), next <= now else { return false }
    switch lane {
    case .clients: return true
    case .reports: return reportsUnderWay < mostReportsNow
    }
  }

  /// While clients wait, reports take a quarter of the places; otherwise they leave one, as long as clients may come.
  private var mostReportsNow: Int {
    max(1, clients.isEmpty ? (isEnding ? most : most - 1) : most / 4)
  }

  /// From now on only reports come.
  mutating func end() { isEnding = true }

  private mutating func begin(_ id: ID, _ lane: ViewTerms.Lane, at now: MonotonicTime) {
    underWay += 1
    circuit.asked(id, at: now)
    switch lane {
    case .clients: clientsSinceReport += 1
    case .reports:
      clientsSinceReport = 0
      reportsUnderWay += 1
    }
  }

  private mutating func callNext(at now: MonotonicTime) -> Call? {
    let isReportsTurn = clients.isEmpty || clientsSinceReport >= Self.clientsPerReport
    if isReportsTurn, !reports.isEmpty, mayGo(.reports, at: now), let id = reports.popFirst() {
      begin(id, .reports, at: now)
      refusable.remove(id)
      return Call(id: id, lane: .reports, verdict: .go)
    }
    guard !clients.isEmpty, mayGo(.clients, at: now), let id = clients.popFirst() else { return nil }
    begin(id, .clients, at: now)
    refusable.remove(id)
    return Call(id: id, lane: .clients, verdict: .go)
  }
}
