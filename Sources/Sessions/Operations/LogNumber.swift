package import Logging

/// A value in the log that is a number, which `logging.format: json` writes without quotes.
package struct LogNumber: CustomStringConvertible, Sendable {
  package let description: String

  init(_ number: some BinaryInteger) {
    description = "\(number)"
  }
}

extension Logger.MetadataValue {
  /// A number, whatever the name of its field.
  package static func number(_ number: some BinaryInteger) -> Self { .stringConvertible(LogNumber(number)) }
}
