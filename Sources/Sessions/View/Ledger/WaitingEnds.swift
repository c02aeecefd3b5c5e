/// What the ends take that wait to be told, over the whole process and by route. A pure value.
struct WaitingEnds {
  struct Load: Equatable {
    var count = 0
    var bytes = 0

    fileprivate mutating func add(_ size: Int, _ sign: Int) {
      count += sign
      bytes += sign * size
    }

    /// How much of the bound it takes; over 1 for more than there may be.
    fileprivate var share: Double {
      max(Double(count) / Double(WaitingEnds.most.count), Double(bytes) / Double(WaitingEnds.most.bytes))
    }
  }

  /// Of one route.
  private struct Part {
    var load = Load()
    /// Those of them that were read from a layer.
    var taken = 0
  }

  /// The most that wait in memory.
  static let most = Load(count: 100_000, bytes: 256 << 20)
  /// The most of one route that are read from layers, so that a view that is away leaves the others room.
  static let mostTaken = 1000

  private(set) var total = Load()
  /// Those that only this process knows of, by the number of their question.
  private(set) var inMemory: [String: ViewReport] = [:]
  private var routes: [String: Part] = [:]

  mutating func add(_ report: ViewReport) {
    count(report, 1)
    if case .own(kept: nil) = report.origin { inMemory[report.id] = report }
  }

  mutating func remove(_ report: ViewReport) {
    count(report, -1)
    inMemory[report.id] = nil
  }

  private mutating func count(_ report: ViewReport, _ sign: Int) {
    let (route, size) = (report.record.route, report.record.size)
    total.add(size, sign)
    routes[route, default: Part()].load.add(size, sign)
    if report.isTaken { routes[route]?.taken += sign }
    if routes[route]?.load.count == 0 { routes[route] = nil }
  }

  /// The route that has to give up its oldest ones, which is the one with most; nil while there is room.
  var overfull: String? { total.share > 1 ? largest : nil }

  private var largest: String? { routes.max { $0.value.load.share < $1.value.load.share }?.key }

  /// How many more of a route may be read from layers.
  func room(for route: String) -> Int {
    if total.share >= 1, largest == route { return 0 }
    return max(0, Self.mostTaken - (routes[route]?.taken ?? 0))
  }

  func has(_ route: String) -> Bool { routes[route] != nil }

  /// Those of this process.
  func own(of route: String) -> Int { routes[route].map { $0.load.count - $0.taken } ?? 0 }
  var own: Int { routes.values.reduce(0) { $0 + $1.load.count - $1.taken } }
}
