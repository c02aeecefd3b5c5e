/// Which of Django's two notations a pattern is written in.
package enum PatternSyntax: Sendable, Hashable {
  /// `path()`: literal text and `<converter:name>`.
  case path
  /// `re_path()`: a regular expression.
  case regex
}

/// One parsed pattern of a route.
package struct RoutePattern: Sendable, Hashable {
  /// Where the pattern stands in its route.
  package enum Role: Sendable, Hashable {
    /// The last one: it decides where the path ends.
    case endpoint
    /// Before the patterns of nested routes.
    case prefix
  }

  package struct Capture: Sendable, Hashable {
    package var name: String
    /// Nil in a regular expression.
    package var converter: PathConverter?
    /// What it can be.
    let expression: Expression

    /// What its value can be.
    var values: Expression { converter == .int ? PathConverter.normalisedInteger : expression }
  }

  package let text: String
  package let syntax: PatternSyntax
  package let role: Role
  /// In the order of their appearance.
  package let captures: [Capture]
  let expression: Expression
  /// Whether it is searched for: it may begin anywhere, not only at the front.
  let isSearched: Bool

  init(
    text: String, syntax: PatternSyntax, role: Role, captures: [Capture], expression: Expression,
    isSearched: Bool = false
  ) {
    self.text = text
    self.syntax = syntax
    self.role = role
    self.captures = captures
    self.expression = expression
    self.isSearched = isSearched
  }

  /// The longest pattern that is read, in bytes.
  package static let longestText = 4096

  package static func parse(
    _ text: String, as syntax: PatternSyntax, role: Role
  ) -> Result<RoutePattern, PatternFault> {
    guard text.utf8.count <= longestText else {
      return .failure(
        PatternFault(.unsupported, "the pattern is longer than \(longestText) bytes", at: 0..<text.utf8.count)
      )
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

/// One complete route: the patterns around it, then its own.
package struct RoutePath: Sendable, Hashable {
  package var patterns: [RoutePattern]

  package init(_ patterns: [RoutePattern]) {
    self.patterns = patterns
  }

  /// As a person would write it in one line.
  package var text: String { patterns.map(\.text).joined() }

  package var captureNames: [String] {
    patterns.flatMap { $0.captures.map(\.name) }.filter { $0 != RoutePattern.remainderName }
  }

  /// Where the value of a capture can come from: the innermost pattern that has it, and, where it need not take part there,
  /// those around it.
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

/// What the value of a capture can be taken from, the innermost first.
struct CaptureSources {
  var captures: [RoutePattern.Capture] = []
  /// Whether every path has a value.
  var isCertain = false

  /// What the value can be.
  var values: Expression { .alternatives(captures.map(\.values)) }
}
