/// An event type as it is looked up.
///
/// Channels makes the name of a method of the type, and so calls one handler for `chat.message` and `chat_message`. Types are
/// therefore equal where they differ in `.` and `_` only. What is passed on is always the type as it was written.
package enum HandlerName {
  /// - Returns: the type with `.` for every `_`; types with the same result are one.
  package static func of(_ type: String) -> String {
    guard hasUnderscore(type.utf8.span) else { return type }
    return String(
      decoding: type.utf8.map { $0 == UInt8(ascii: "_") ? UInt8(ascii: ".") : $0 }, as: UTF8.self)
  }

  // Asked for each event that is published: over the view it takes sixty instructions for each byte.
  private static func hasUnderscore(_ type: Span<UInt8>) -> Bool {
    for index in type.indices where type[index] == UInt8(ascii: "_") { return true }
    return false
  }

  /// What the types of the gateway's own events begin with, as they are looked up.
  package static let reservedPrefix = "sluice."

  /// Whether events of the type are the gateway's own, which no publisher and no template may make.
  package static func isReserved(_ type: String) -> Bool { of(type).hasPrefix(reservedPrefix) }

  /// What the types of the ASGI events begin with that every route with a group understands.
  static let asgiPrefix = "websocket."
}
