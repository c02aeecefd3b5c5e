/// Text that is equal only if its code points are the same.
///
/// `String` considers "é" and "e" with a combining accent equal, but as keys of a JSON object they are different.
package struct ExactText: Sendable, Hashable {
  package let text: String

  package init(text: String) {
    self.text = text
  }

  package static func == (left: ExactText, right: ExactText) -> Bool {
    left.text.utf8.elementsEqual(right.text.utf8)
  }

  package func hash(into hasher: inout Hasher) {
    var text = text
    text.withUTF8 { unsafe hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    hasher.combine(text.utf8.count)
  }
}

extension ExactText: ExpressibleByStringLiteral {
  package init(stringLiteral text: String) {
    self.init(text: text)
  }
}
