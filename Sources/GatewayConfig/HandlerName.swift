/// An event type in the form in which it is looked up.
///
/// Channels derives a method name from the type, and so calls one handler for `chat.message` and `chat_message`. Types that
/// differ only in `.` and `_` are therefore equal. The type is always passed on as it was written.
package enum HandlerName {
  /// - Returns: the type with `.` for every `_`. Types with the same result are equal.
  package static func of(_ type: String) -> String {
    guard hasUnderscore(type.utf8.span) else { return type }
    return String(decoding: type.utf8.map { $0 == UInt8(ascii: "_") ? UInt8(ascii: ".") : $0 }, as: UTF8.self)
  }

  // Asked for each event that is published: over the view it takes sixty instructions for each byte.
  private static func hasUnderscore(_ type: Span<UInt8>) -> Bool {
    for index in type.indices where type[index] == UInt8(ascii: "_") { return true }
    return false
  }

  /// The prefix of the gateway's own event types, in the form in which they are looked up.
  package static let reservedPrefix = "sluice."

  /// Whether the type is one of the gateway's own, which publishers and templates must not use.
  package static func isReserved(_ type: String) -> Bool { of(type).hasPrefix(reservedPrefix) }

  /// The prefix of the ASGI event types that every route with a group handles.
  static let asgiPrefix = "websocket."
}
