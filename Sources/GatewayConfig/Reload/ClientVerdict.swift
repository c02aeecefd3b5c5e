/// What becomes of one connected client when the file changes.
package enum ClientVerdict: Sendable, Hashable {
  /// The route means the same in everything.
  case stays
  /// The client goes on by the new route, some of whose options are others. The keys that differ, as they are written in the file.
  case changes([String])
  case closes(ClientEnd)
}

/// Why a client cannot go on by the route that its path leads to now. The close code and the text of each are a row of the table of
/// close reasons.
package enum ClientEnd: String, Sendable, Hashable, CaseIterable {
  /// The path leads to no route any more.
  case routeGone = "the route of this session is gone"
  /// The route refuses the client's `Origin` now.
  case originRefused = "the origin of this page is not allowed any more"
  /// The route authenticates clients now, or does so by another entry of `auth`.
  case loginNeeded = "clients of this route have to log in anew"
  /// Another consumer serves the path, or another server behind `proxy`.
  case consumerChanged = "another consumer serves this path now"
  /// The groups are on another channel layer.
  case layerChanged = "the channel layer of this route has changed"
  /// The client would be in other groups.
  case groupsChanged = "the groups of this route have changed"
  /// The client may do less or more than before, which is decided when it connects.
  case rightsChanged = "the rights on this route have changed"

  /// The close code: 1012 lets the client reconnect at once; 4401 asks for another token; 4403 is final.
  package var code: UInt16 {
    switch self {
    case .originRefused: 4403
    case .loginNeeded: 4401
    case .routeGone, .consumerChanged, .layerChanged, .groupsChanged, .rightsChanged: 1012
    }
  }
}

/// What is known of a connected client where the route alone does not decide.
package protocol LivingClient {
  /// Whether nobody knows who the client is.
  var isAnonymous: Bool { get }
  /// Whether the client still has to show its first token.
  var isAwaitingToken: Bool { get }

  /// Whether the origin of the client's page may use a route with these.
  func isAdmitted(by origins: OriginPolicy) -> Bool

  /// Whether the groups of the route that the client is in are those that these would name for it, in the same order.
  func isInGroups(of groups: GroupConfiguration) -> Bool

  /// Whether a route with these lets the client keep what it has joined beside the groups of the route: by `subscribe`, or because a
  /// view or a program had it join.
  func mayKeepJoined(by groups: GroupConfiguration) -> Bool
}

extension RouteChange {
  /// What becomes of a client: the one place that decides it. A reload obeys it, and `plan` predicts with it.
  package func verdict(of client: some LivingClient) -> ClientVerdict {
    if let end { return .closes(end) }
    if let origins, !client.isAdmitted(by: origins) { return .closes(.originRefused) }
    if let end = end(of: Standing(client)) { return .closes(end) }
    if let groups, !client.isInGroups(of: groups) { return .closes(.groupsChanged) }
    if let joinable, !client.mayKeepJoined(by: joinable) { return .closes(.rightsChanged) }
    return options.isEmpty ? .stays : .changes(options)
  }
}
