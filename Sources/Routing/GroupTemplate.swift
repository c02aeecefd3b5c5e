/// A group name with places for a route's captures: `chat_{room}`.
///
/// A group name is 1 to 99 characters of `A-Z a-z 0-9 . _ -` (Django: `BaseChannelLayer.valid_group_name`).
package struct GroupTemplate: Sendable, Hashable {
  package enum Part: Sendable, Hashable {
    case literal(String)
    case capture(String)
  }

  package var parts: [Part]

  package init(parts: [Part]) {
    self.parts = parts
  }
}
