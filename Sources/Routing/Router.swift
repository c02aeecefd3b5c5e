/// The compiled routes of one protocol. Finds the route that answers a path.
///
/// Immutable and shared by all threads. Matching is one pass over the bytes of the path, whatever the number of routes; the
/// first declared route that matches wins, as in Django.
package struct Router: Sendable {
  package let routes: [RoutePath]
  /// Facts about the table that were found while it was compiled.
  package let findings: [RouteFinding]

  /// Usually one automaton; several if one for all routes would be too large. Each holds consecutive routes.
  let automata: [(firstRoute: Int, automaton: Automaton)]
  private let programs: [Program]

  package init(_ routes: [RoutePath]) {
    self.init(routes, bounds: .init(work: 24_000_000 + 2_000 * routes.count))
  }

  /// - Parameter analyses: the work that the analyses may take; by default in proportion to the table.
  init(_ routes: [RoutePath], bounds: TableCompiler.Bounds, analyses: WorkBudget? = nil) {
    self.routes = routes
    let programs = routes.map(Program.init(_:))
    self.programs = programs
    var automata: [(firstRoute: Int, automaton: Automaton)] = []
    var analysis = TableAnalysis(routes, programs, budget: analyses ?? .forAnalyses(of: routes.count))
    var compiler = TableCompiler(bounds)
    compiler.compile(programs) { firstRoute, builder in
      guard let builder else { return analysis.tooComplex(firstRoute) }
      analysis.add(builder, firstRoute: firstRoute)
      automata.append((firstRoute, builder.automaton))
    }
    self.automata = automata
    findings = analysis.findings()
  }

  /// The automaton of the whole table; nil if it had to be split.
  var wholeTable: Automaton? { automata.count == 1 ? automata[0].automaton : nil }

  /// A longer path matches no route, because reading its captures would take a reactor too long. (No file of the system has a
  /// longer name either.) Bytes, decoded.
  package static let longestPath = 4096

  package func match(_ path: RequestPath) -> RouteMatch? {
    guard path.bytes.count <= Self.longestPath, let route = route(of: path.bytes) else { return nil }
    return match(path.bytes, by: route)
  }

  /// The first route that matches.
  func route(of path: [UInt8]) -> Int? {
    for (firstRoute, automaton) in automata {
      if let route = automaton.match(path) { return firstRoute + route }
    }
    return nil
  }

  /// The route that matches the path with a "/" added at its end, or removed: the most frequent mistake.
  ///
  /// Takes as long as a match. Meant for a path that no route matches.
  ///
  /// - Returns: also nil if a route matches the path as it is.
  package func routeWithOtherSlash(_ path: RequestPath) -> (route: Int, path: RequestPath)? {
    guard route(of: path.bytes) == nil else { return nil }
    let other = path.withOtherSlash
    return route(of: other.bytes).map { ($0, other) }
  }

  /// The route that matches the path with another value in one of its segments, and the capture that takes this value: the second
  /// most frequent mistake is a value that a converter does not take.
  ///
  /// Takes as long as some dozens of matches of a short path. Meant for a path that no route matches.
  ///
  /// - Returns: also nil if a route matches the path as it is, or if it has many segments.
  package func routeWithOtherSegment(_ path: RequestPath) -> (route: Int, capture: RoutePattern.Capture)? {
    guard path.bytes.count <= Self.longestPathForHints, route(of: path.bytes) == nil else { return nil }
    let segments = path.bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    guard segments.count <= Self.mostSegmentsForHints else { return nil }
    for index in segments.indices where !segments[index].isEmpty {
      for sample in Self.sampleValues {
        var other = segments
        other[index] = Array(sample.utf8)[...]
        let bytes = Array(other.joined(separator: [UInt8(ascii: "/")]))
        guard let route = route(of: bytes), let name = match(bytes, by: route).captures.name(of: sample)
        else { continue }
        let captures = routes[route].patterns.reversed().flatMap(\.captures)
        if let capture = captures.first(where: { $0.name == name }) { return (route, capture) }
      }
    }
    return nil
  }

  private static let longestPathForHints = 1024
  private static let mostSegmentsForHints = 8
  /// Values that Django's converters, and most regular expressions, take.
  private static let sampleValues = ["1", "a", "00000000-0000-0000-0000-000000000000"]

  private func match(_ path: [UInt8], by route: Int) -> RouteMatch {
    let program = programs[route]
    guard !program.captures.isEmpty else { return RouteMatch(route: route, captures: Captures()) }
    var captures: [Captures.Capture] = []
    var remainder: String?
    for (capture, range) in zip(program.captures, CaptureReader.read(path, by: program)) {
      guard let range else { continue }
      let text = String(decoding: path[range], as: UTF8.self)
      if capture.name == RoutePattern.remainderName {
        remainder = text
      } else {
        captures.append(.init(name: capture.name, value: capture.converter?.normalised(text) ?? text))
      }
    }
    return RouteMatch(route: route, captures: Captures(captures), remainder: remainder)
  }
}

extension RoutePattern {
  /// No capture of a pattern can have this name.
  static let remainderName = "*"

  /// Matches the rest of the path, which becomes the match's `remainder`. It ends a route that stands for everything below its
  /// prefix.
  package static let remainder: RoutePattern = {
    let anything = Expression.repetition(.characters(.everything), least: 0, most: nil, preference: .greedy)
    return RoutePattern(
      text: "", syntax: .path, captures: [Capture(name: remainderName, expression: anything)],
      expression: .sequence([.capture(0, anything), .end]))
  }()
}
