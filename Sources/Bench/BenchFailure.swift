/// Why nothing could be measured; one sentence for the user.
package struct BenchFailure: Error, Equatable, CustomStringConvertible {
  package let description: String

  package init(_ description: String) {
    self.description = description
  }
}
