package import Transport

/// A session in the role of a group's member. Lives on the group's reactor.
package protocol GroupMember: AnyObject {
  /// Sends the bytes of `frames` from `offset` on.
  func deliver(_ frames: SharedBytes, from offset: Int) -> Delivery
  /// The member's send queue is over its limit. The member closes itself and leaves. Called outside of any delivery.
  func fellBehind()
  /// An event asks for the session to be closed. Called outside of any delivery.
  func close(code: UInt16, reason: String)
  /// An event of this member did not reach everybody.
  func undelivered(_ reason: Undelivered)
  /// The name of its user; nil for an anonymous one.
  var userName: String? { get }
  /// The opaque value that a view keeps about it, as JSON text; nil if there is none.
  var viewStateText: [UInt8]? { get }
  /// The place whose address it has (`LocalGroups.joinAlone`); nil if each of its places has an address of its own.
  var ownMembership: Membership? { get }
  /// Sends what its groups have ready, before it is sent something alone.
  func catchUp()
}

extension GroupMember {
  package var userName: String? { nil }
  package var viewStateText: [UInt8]? { nil }
  package var ownMembership: Membership? { nil }
  package func catchUp() {}
}

package enum Delivery: Sendable, Equatable {
  case delivered
  /// The member's send queue is over its limit.
  case queueOverLimit
}

/// The place of one member in one audience. Made by `LocalGroups.join`, and kept by the member until it leaves.
package final class Membership {
  /// Strong, because an unowned reference costs two more atomic operations at each delivery. `leave` breaks the cycle.
  package let member: any GroupMember
  package let number: MemberNumber
  var audience: Audience
  /// The index in the audience.
  var index: Int
  /// How many bytes of this turn's frames the member has received, or missed because it joined later.
  var cursor: Int

  package var group: String { audience.group }

  /// What identifies the members that share its rendering, as in `LocalGroups.join`.
  package var route: ObjectIdentifier { audience.key }

  init(member: any GroupMember, number: MemberNumber, audience: Audience, index: Int, cursor: Int) {
    self.member = member
    self.number = number
    self.audience = audience
    self.index = index
    self.cursor = cursor
  }
}
