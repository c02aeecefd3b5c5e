/// Which of Django's two notations a pattern is written in.
package enum PatternSyntax: Sendable, Hashable {
  /// `path()`: literal text and `<converter:name>`.
  case path
  /// `re_path()`: a regular expression.
  case regex
}

/// One parsed pattern of a route.
package struct RoutePattern: Sendable, Hashable {
  /// The role of a pattern in its route.
  package enum Role: Sendable, Hashable {
    /// The last pattern. It decides where the path ends.
    case endpoint
    /// A pattern before nested routes.
    case prefix
  }

  package struct Capture: Sendable, Hashable {
    package var name: String
    /// Nil in a regular expression.
    package var converter: PathConverter?
    var expression: Expression

    /// The possible values of the capture.
    var values: Expression { converter == .int ? PathConverter.normalisedInteger : expression }
  }

  package let text: String
  package let syntax: PatternSyntax
  /// In the order of their appearance.
  package let captures: [Capture]
  var expression: Expression
  /// Whether the pattern is searched for: it may begin anywhere in the path.
  var isSearched = false

  /// The longest pattern that is accepted, in bytes.
  package static let longestText = 4096

  package static func parse(
    _ text: String, as syntax: PatternSyntax, role: Role
  ) -> Result<RoutePattern, PatternFault> {
    guard text.utf8.count <= longestText else {
      let message = "the pattern is longer than \(longestText) bytes"
      return .failure(PatternFault(.unsupported, message, at: 0..<text.utf8.count))
    }
    do throws(PatternFault) {
      switch syntax {
      case .path: return .success(try PathPatternParser(text).parse(role))
      case .regex: return .success(try RegexParser(text).parse(role))
      }
    } catch {
      return .failure(error)
    }
  }
}

/// One complete route: the outer patterns, then its own.
package struct RoutePath: Sendable, Hashable {
  package var patterns: [RoutePattern]

  package init(_ patterns: [RoutePattern]) {
    self.patterns = patterns
  }

  /// The patterns in one line, as a person would write them.
  package var text: String { patterns.map(\.text).joined() }

  package var captureNames: [String] {
    patterns.flatMap { $0.captures.map(\.name) }.filter { $0 != RoutePattern.remainderName }
  }

  /// The captures of `<path:NAME>`, whose values may have several segments. Of a name that is captured twice, the inner one counts.
  package var longCaptures: Set<String> {
    let converters = patterns.flatMap(\.captures).map { ($0.name, $0.converter) }
    return Set(Dictionary(converters) { $1 }.filter { $0.value == .path }.keys)
  }

  /// The captures that the value can come from: that of the innermost pattern and, if it need not take part in a match, those
  /// of the patterns around it.
  func sources(of name: String) -> CaptureSources {
    var sources = CaptureSources()
    for pattern in patterns.reversed() {
      guard let number = pattern.captures.firstIndex(where: { $0.name == name }) else { continue }
      sources.captures.append(pattern.captures[number])
      sources.isCertain = pattern.expression.alwaysTakes(capture: number)
      if sources.isCertain { break }
    }
    return sources
  }
}

/// The captures that a value can come from, the innermost first.
struct CaptureSources {
  var captures: [RoutePattern.Capture] = []
  /// Whether every path has a value.
  var isCertain = false

  /// The possible values.
  var values: Expression { .alternatives(captures.map(\.values)) }
}
