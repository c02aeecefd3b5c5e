extension Array {
  /// Its elements in parts of at most this many, in order.
  package func parts(of most: Int) -> [ArraySlice<Element>] {
    stride(from: 0, to: count, by: most).map { self[$0..<Swift.min($0 + most, count)] }
  }
}
