import Bytes

/// The meaning of the `Range` field of a request for a file (RFC 9110 section 14).
enum ByteRange: Equatable {
  /// These bytes.
  case part(ClosedRange<Int>)
  /// The file has none of the bytes.
  case unsatisfiable
  /// Anything but one range of bytes, which a server ignores.
  case notUnderstood

  /// - Parameter size: the size of the file.
  init(_ field: String, size: Int) {
    let unit = "bytes="
    let words = field.dropFirst(unit.count).split(separator: "-", omittingEmptySubsequences: false)
    guard field.lowercased().hasPrefix(unit), words.count == 2,
      let first = Position(words[0]), let last = Position(words[1])
    else {
      self = .notUnderstood
      return
    }
    switch (first, last) {
    case (.none, .none): self = .notUnderstood
    case (.none, .at(let count)):
      self = count == 0 || size == 0 ? .unsatisfiable : .part(max(0, size - count)...(size - 1))
    case (.at(let start), .none): self = start < size ? .part(start...(size - 1)) : .unsatisfiable
    case (.at(let start), .at(let end)):
      guard start <= end else {
        self = .notUnderstood
        return
      }
      self = start < size ? .part(start...min(end, size - 1)) : .unsatisfiable
    }
  }

  private enum Position {
    case none
    case at(Int)

    init?(_ digits: Substring) {
      guard digits.utf8.allSatisfy(\.isDigit) else { return nil }
      // A number that does not fit is beyond the end of any file.
      self = digits.isEmpty ? .none : .at(Int(digits) ?? .max)
    }
  }
}
