extension Array {
  /// Where the elements that come first end: the index of the first one for which the condition does not hold. Takes time in proportion
  /// to the logarithm of the count.
  ///
  /// - Parameter isBefore: holds for the first elements of the array, and for none behind them.
  @inlinable
  public func partitionPoint(where isBefore: (Element) -> Bool) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if isBefore(self[middle]) { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
