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

    package init(text: String, style: Style, origin: Origin? = nil) {
      self.text = text
      self.style = style
      self.origin = origin
    }
  }

  /// The variable that a scalar's value came from, for findings about that value.
  package struct Origin: Sendable, Hashable {
    package var variable: String
    package var isDefault: Bool

    package init(variable: String, isDefault: Bool) {
      self.variable = variable
      self.isDefault = isDefault
    }
  }

  package struct Entry: Sendable {
    package var key: Located<String>
    package var value: Node

    package init(key: Located<String>, value: Node) {
      self.key = key
      self.value = value
    }
  }

  package var content: Content
  package var range: SourceRange

  /// The entry of a key as it is written; nil where there is none, and for what is no mapping.
  func entry(_ key: String) -> Entry? {
    if case .mapping(let entries) = content { entries.first { $0.key.value == key } } else { nil }
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
