import WebSocketCore

extension HeaderField {
  /// Whether the value is one that a field can have: without control characters other than tabs (RFC 9110 section 5.5).
  var hasLegalValue: Bool { value.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 } }
}
