/// Text that is equal to the same code points only.
///
/// `String` takes "é" and "e" with a combining accent for equal; the keys of a JSON object are different then.
package struct ExactText: Hashable {
  package let text: String

  package init(text: String) {
    self.text = text
  }

  package static func == (left: ExactText, right: ExactText) -> Bool {
    left.text.utf8.elementsEqual(right.text.utf8)
  }

  package func hash(into hasher: inout Hasher) {
    for byte in text.utf8 { hasher.combine(byte) }
    hasher.combine(text.utf8.count)
  }
}
