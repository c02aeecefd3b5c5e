import JSON

/// A text message that is not for the group but for the gateway: an object with one member, whose name says what is wanted.
///
/// Read only on routes that have something to control; everywhere else such a text is a message like any other.
package enum ControlMessage: Sendable, Hashable {
  /// `{"subscribe": "GROUP"}`
  case subscribe(String)
  /// `{"unsubscribe": "GROUP"}`
  case unsubscribe(String)
  /// `{"auth": "TOKEN"}`
  case auth(String)
  /// `{"presence": "list"}`
  case presence(String)

  /// Longer texts are never one.
  private static let longest = 16 * 1024

  /// - Returns: nil where the text is an ordinary message.
  package static func read(_ text: RawSpan) -> ControlMessage? {
    guard text.byteCount <= longest, let key = JSONScanner.firstName(of: text), keys.contains(key) else {
      return nil
    }
    guard case .object(let members)? = try? JSON.parse(text, strings: .compared), members.count == 1,
      case .string(let value) = members[0].value
    else { return nil }
    switch key {
    case "subscribe": return .subscribe(value)
    case "unsubscribe": return .unsubscribe(value)
    case "auth": return .auth(value)
    case "presence": return .presence(value)
    default: return nil
    }
  }

  /// So that ordinary messages are not parsed twice.
  private static let keys: Set<String> = ["subscribe", "unsubscribe", "auth", "presence"]
}
