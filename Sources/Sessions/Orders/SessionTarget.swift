package import Bytes

/// The sessions that an order is about: those for which everything that is given holds. An empty target is about none.
package struct SessionTarget: Sendable, Hashable {
  package var user: ExactText?
  /// The address of one session, as `{channel}` shows it.
  package var address: String?
  /// A group that the session is in.
  package var group: String?

  package init(user: String? = nil, address: String? = nil, group: String? = nil) {
    self.user = user.map { ExactText(text: $0) }
    self.address = address
    self.group = group
  }

  package var isEmpty: Bool { user == nil && address == nil && group == nil }
}
