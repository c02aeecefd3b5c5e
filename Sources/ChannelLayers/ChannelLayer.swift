/// How an event reaches the sessions of a group, on this reactor, on the others, and in other processes.
///
/// This is a reactor's end of a layer: confined to the reactor it was made for, and made once for each.
/// Whatever way an event takes, it ends in `LocalGroups.deliver`.
package protocol ChannelLayer: AnyObject {
  /// Sends the event to every session in the group, the sender's included. Events of one sender keep their order.
  func publish(_ event: Event, to group: String)

  /// Adds a session of this reactor to a group.
  func join(
    _ member: any GroupMember, group: String, route: ObjectIdentifier, renderer: any EventRenderer
  ) -> Membership

  func leave(_ membership: Membership)

  /// Sends a member what its groups got in this turn, before something is written to it directly.
  func catchUp(_ membership: Membership) -> Delivery
}

/// An event on its way from one reactor to another.
package struct GroupEvent: Sendable {
  package var event: Event
  package var group: String

  package init(_ event: Event, to group: String) {
    self.event = event
    self.group = group
  }
}
