/// A YAML value with its place in the file: the input of every later step.
///
/// Anchors and aliases are resolved (an alias's node has the place of the alias), variables are replaced, and the document's
/// depth, size and alias expansion were within their bounds.
package struct Node: Sendable {
  package indirect enum Content: Sendable {
    case scalar(Scalar)
    case sequence([Node])
    case mapping([Entry])
  }

  package struct Scalar: Sendable {
    /// The value after variables were replaced.
    package var text: String
    package var style: Style
    /// The variable that the text came from, if it is not in the file itself.
    package var origin: Origin?
    /// Whether a variable in it could not be replaced, or it is an alias without an anchor. That has been reported, and the
    /// value is not checked any further.
    package var isUnusable = false

    package enum Style: Sendable {
      /// No quotes: YAML would also read numbers, truth values and null from it.
      case plain
      /// Quotes or a block: always text.
      case quoted
    }
  }

  /// The variable that a scalar's value came from, for findings about that value.
  package struct Origin: Sendable, Hashable {
    package var variable: String
    package var isDefault: Bool
  }

  package struct Entry: Sendable {
    package var key: Located<String>
    package var value: Node
  }

  package var content: Content
  package var range: SourceRange

  /// The entry of a key as it is written; nil where there is none, and for what is no mapping.
  func entry(_ key: String) -> Entry? { entries?.first { $0.key.value == key } }

  /// The entries of a mapping; nil for what is none.
  var entries: [Entry]? { if case .mapping(let entries) = content { entries } else { nil } }

  /// The items of a list; the value itself where it stands in place of a list of one.
  var items: [Node] { if case .sequence(let items) = content { items } else { [self] } }

  /// Its text as it is written; nil for a list or a mapping, and for what a variable holds.
  var word: String? {
    if case .scalar(let scalar) = content, scalar.origin == nil, !scalar.isUnusable {
      scalar.text
    } else {
      nil
    }
  }

  /// Whether it is this word, such as `none`.
  func isWord(_ word: String) -> Bool {
    if case .scalar(let scalar) = content { scalar.text == word } else { false }
  }

  /// Whether nothing more is to be said about it.
  var isUnusable: Bool {
    if case .scalar(let scalar) = content { scalar.isUnusable } else { false }
  }

  package init(_ content: Content, at range: SourceRange) {
    self.content = content
    self.range = range
  }
}
