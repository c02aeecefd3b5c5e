/// Events for some of a group.
extension LocalGroups {
  /// Delivers an event to those members of an audience that it is for.
  ///
  /// Who is left out costs a look at each member, and is sent what waits for it first. For one user there is a look at each member, too,
  /// and a write for each of the user's sessions.
  ///
  /// - Parameter user: whose sessions alone get it; nil if the user does not matter.
  func deliver(_ event: Event, in audience: Audience, for user: String?, except absent: AbsentMembers) {
    if let user {
      let members = audience.members.filter { $0.member.userName == user && !absent.has($0) }
      if !members.isEmpty { deliver(event, toSomeOf: audience, members) }
    } else {
      deliver(event, in: audience, except: absent.isEmpty ? [] : audience.members.filter(absent.has))
    }
  }

  /// Whether the event is for the member, as the renderer sees it.
  func isMeant(_ event: Event, for membership: Membership, by renderer: any EventRenderer) -> Bool {
    let own = event.ownRecipients
    guard renderer.selects || !own.areAll else { return true }
    guard let recipients = renderer.recipients(of: event, own: own) else { return false }
    if let user = recipients.user, membership.member.userName != user { return false }
    return !recipients.except.contains { member(at: $0) === membership.member }
  }
}

/// The sessions of one reactor that some addresses lead to. A session may be in a group by another membership than the one that an
/// address is of.
struct AbsentMembers {
  let addresses: [String]
  private let members: Set<ObjectIdentifier>
  /// The only one of them, mostly the session that has sent the event: it is compared without a hash.
  private let only: ObjectIdentifier?

  init() {
    (addresses, members, only) = ([], [], nil)
  }

  /// - Parameter addresses: each is looked for once, at most `EventRecipients.mostAddresses`.
  init(at addresses: [String], in groups: LocalGroups) {
    self.addresses = addresses
    members = Set(addresses.compactMap { groups.member(at: $0).map { ObjectIdentifier($0) } })
    only = members.count == 1 ? members.first : nil
  }

  var isEmpty: Bool { members.isEmpty }

  func has(_ membership: Membership) -> Bool {
    let member = ObjectIdentifier(membership.member)
    return only.map { $0 == member } ?? members.contains(member)
  }
}
