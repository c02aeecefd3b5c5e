package import Transport

/// A session as a group sees it; lives on the group's reactor.
package protocol GroupMember: AnyObject {
  /// Sends the bytes of `frames` from `offset` on.
  func deliver(_ frames: SharedBytes, from offset: Int) -> Delivery
  /// The member's queue is over its limit: it closes itself and leaves. Called outside of any delivery.
  func fellBehind()
  /// An event asks for the session to be closed. Called outside of any delivery.
  func close(code: UInt16, reason: String)
  /// An event of this member did not reach everybody.
  func undelivered(_ reason: Undelivered)
}

package enum Delivery: Sendable, Equatable {
  case delivered
  /// The member's send queue is longer than it may be.
  case queueOverLimit
}

/// One member's place in one audience; made by `LocalGroups.join` and kept by the member until it leaves.
package final class Membership {
  /// Strong, as an unowned one costs two atomic operations more at each delivery; `leave` undoes the circle.
  let member: any GroupMember
  package let number: MemberNumber
  var audience: Audience
  /// Where the audience keeps this membership.
  var index: Int
  /// How much of the audience's frames of this turn the member has, or was not there to get.
  var cursor: Int

  package var group: String { audience.group }

  init(member: any GroupMember, number: MemberNumber, audience: Audience, index: Int, cursor: Int) {
    self.member = member
    self.number = number
    self.audience = audience
    self.index = index
    self.cursor = cursor
  }
}
