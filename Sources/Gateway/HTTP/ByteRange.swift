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
    self = .notUnderstood
    guard field.lowercased().hasPrefix(unit), words.count == 2, words.allSatisfy(\.isOfDigits) else { return }
    // A number that does not fit is beyond the end of any file.
    let places = words.map { $0.isEmpty ? nil : Int($0) ?? .max }
    switch (places[0], places[1]) {
    case (nil, nil): break
    case (nil, let count?):
      self = count == 0 || size == 0 ? .unsatisfiable : .part(max(0, size - count)...(size - 1))
    case (let start?, let end):
      guard start <= end ?? .max else { return }
      self = start < size ? .part(start...min(end ?? .max, size - 1)) : .unsatisfiable
    }
  }
}
