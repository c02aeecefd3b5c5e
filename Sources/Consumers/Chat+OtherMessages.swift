import GatewayConfig
import JSON

extension Chat {
  /// Why a text without the member `message` is not a message: in the client's words, for its author.
  ///
  /// - Parameters:
  ///   - payload: an object.
  ///   - takesTokens: whether clients of the route may send a token in a message.
  @inline(never)
  func fault(of payload: RawSpan, takesTokens: Bool) -> String {
    let otherwise = #"the message has no member "message": send {"message": ...}"#
    guard let name = JSONScanner.firstName(of: payload) else { return otherwise }
    switch name {
    case "presence":
      return groups.presence
        ? #"send {"presence": "list"}, with nothing else, for the list"#
        : "this route has no presence"
    case "subscribe", "unsubscribe":
      return groups.subscribe.isEmpty
        ? "clients of this route cannot subscribe to groups"
        : #"send {"\#(name)": "GROUP"}, with nothing else, for one group"#
    case "auth":
      return takesTokens
        ? #"send {"auth": "TOKEN"}, with nothing else"# : "this route takes no token in a message"
    default:
      guard name.utf8.count <= Self.longestName, let nearest = NearestName.of(name, in: names(takesTokens))
      else { return otherwise }
      return "the message has no member \"message\"; did you mean \"\(nearest)\"?"
    }
  }

  /// The names of the members that clients of the route may send alone.
  private func names(_ takesTokens: Bool) -> [String] {
    [Self.member] + (groups.presence ? ["presence"] : [])
      + (groups.subscribe.isEmpty ? [] : ["subscribe", "unsubscribe"]) + (takesTokens ? ["auth"] : [])
  }

  /// A longer name is not compared with the known ones. Bytes.
  private static let longestName = 20
}
