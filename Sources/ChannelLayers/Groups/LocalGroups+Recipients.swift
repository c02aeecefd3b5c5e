/// Events for some of a group.
extension LocalGroups {
  /// Delivers an event to those members of an audience that it is for.
  ///
  /// Who is left out costs a look at each member, and is sent what waits for it first. For one user there is a look at each member, too,
  /// and a write for each of the user's sessions.
  func deliver(_ event: Event, in audience: Audience, to recipients: EventRecipients) {
    let absent = sessions(at: recipients.except)
    if let user = recipients.user {
      let members = audience.members.filter { $0.member.userName == user && !absent.has($0) }
      if !members.isEmpty { deliver(event, toSomeOf: audience, members) }
    } else {
      deliver(event, in: audience, except: absent.isEmpty ? [] : audience.members.filter(absent.has))
    }
  }

  /// Whether the event is for the member, as the renderer sees it.
  func isMeant(_ event: Event, for membership: Membership, by renderer: any EventRenderer) -> Bool {
    guard let recipients = renderer.recipients(of: event) else { return true }
    if let user = recipients.user, membership.member.userName != user { return false }
    return !sessions(at: recipients.except).has(membership)
  }

  /// The sessions of this reactor that the addresses lead to. A session may be in a group by another membership than the one that an
  /// address is of.
  private func sessions(at addresses: [String]) -> [any GroupMember] {
    addresses.isEmpty ? [] : addresses.compactMap(member(at:))
  }
}

extension [any GroupMember] {
  fileprivate func has(_ membership: Membership) -> Bool {
    contains { $0 === membership.member }
  }
}
