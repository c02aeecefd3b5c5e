/// The groups that the answer of a view may name: `groups_from_view`.
///
/// Made for what `validate` compares with the groups of other routes, so that nothing else is admitted later.
package struct GroupsFromView: Sendable {
  package let patterns: [GroupPattern]
  private let router: Router

  /// - Parameter patterns: without places.
  package init(_ patterns: [GroupPattern]) {
    self.patterns = patterns
    router = Router(
      patterns.map { pattern in
        let parts = pattern.parts.compactMap(NameLanguage.Part.init).map(\.expression)
        return RoutePath([
          RoutePattern(
            text: pattern.text, syntax: .path, captures: [], expression: .sequence([.start] + parts + [.end]))
        ])
      })
  }

  /// Whether one of the patterns matches the name. Takes time in proportion to the name, whatever the number of patterns.
  package func admits(_ name: String) -> Bool {
    GroupName.isOpen(name) && router.route(of: Array(name.utf8)) != nil
  }

  /// As the operator wrote them.
  package var text: String { patterns.map(\.text).joined(separator: ", ") }
}

extension GroupsFromView: Hashable {
  package static func == (left: GroupsFromView, right: GroupsFromView) -> Bool {
    left.patterns == right.patterns
  }

  package func hash(into hasher: inout Hasher) { hasher.combine(patterns) }
}

extension GroupPattern {
  /// Whether it admits every name, or nearly so: it has nothing but `*`, or converters that take anything.
  package var isOpenToEverything: Bool {
    parts.allSatisfy { part in
      switch part {
      case .anything, .converted(.str, _), .converted(.path, _): true
      case .literal, .capture, .identity, .converted: false
      }
    }
  }
}
