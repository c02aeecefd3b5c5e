import JSON

/// A text message for the gateway instead of the group: an object with one member, whose name is the request.
///
/// Recognised only on routes with something to control. On other routes such a text is an ordinary message.
enum ControlMessage: Sendable, Hashable {
  /// `{"subscribe": "GROUP"}`
  case subscribe(String)
  /// `{"unsubscribe": "GROUP"}`
  case unsubscribe(String)
  /// `{"auth": "TOKEN"}`
  case auth(String)
  /// `{"presence": "list"}`
  case presence(String)

  /// A longer text is never a control message.
  private static let longest = 16 * 1024

  /// - Returns: nil if the text is an ordinary message.
  static func read(_ text: RawSpan) -> ControlMessage? {
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

  /// Checked first, so that ordinary messages are not parsed twice.
  private static let keys: Set<String> = ["subscribe", "unsubscribe", "auth", "presence"]
}
