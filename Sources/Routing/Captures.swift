/// What a route captured from a path: names and texts, in the order of the pattern.
package struct Captures: Sendable, Hashable {
  package struct Capture: Sendable, Hashable {
    package var name: String
    package var value: String

    package init(name: String, value: String) {
      self.name = name
      self.value = value
    }
  }

  /// No two have the same name. If nested patterns share a name, the inner one wins, as in Django.
  package private(set) var all: [Capture] = []

  package init(_ captures: [Capture] = []) {
    for capture in captures {
      if let index = all.firstIndex(where: { $0.name == capture.name }) {
        all[index].value = capture.value
      } else {
        all.append(capture)
      }
    }
  }

  /// The name of the last capture with this value.
  func name(of value: String) -> String? { all.last { $0.value == value }?.name }

  package subscript(name: String) -> String? {
    all.first { $0.name == name }?.value
  }
}

/// The route that answers, and its captures.
package struct RouteMatch: Sendable, Hashable {
  /// The index of the route in the table.
  package var route: Int
  package var captures: Captures
  /// The text that the catch-all at the end of the route matched; nil if the route has none.
  package var remainder: String?
}
