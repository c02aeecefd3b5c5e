import Bytes
import JSON
package import Transport

/// A reactor's end of presence: it reports sessions that come and go to the table, and passes the table's notices on to its
/// members.
///
/// Confined to its reactor.
package final class LocalPresence {
  private let table: PresenceTable
  private let reactor: Int
  fileprivate let groups: LocalGroups
  /// Members that wait for the list of a group, including those that have left since.
  private var waiting: [String: [PresentMember]] = [:]

  package init(reactor: Reactor, number: Int, table: PresenceTable, groups: LocalGroups) {
    self.table = table
    self.reactor = number
    self.groups = groups
    table.add(reactor.mailbox { [self] (news: [PresenceNews]) in news.forEach(take) }, of: number)
  }

  /// Adds the session to the group's presence. It receives the list.
  ///
  /// - Parameters:
  ///   - route: as in `LocalGroups.join`, like the renderer.
  ///   - user: nil for an anonymous session.
  package func join(
    _ session: any GroupMember, group: String, route: ObjectIdentifier, renderer: any EventRenderer,
    user: String?
  ) -> PresentMember {
    let membership = groups.join(session, group: Self.hearers(of: group), route: route, renderer: renderer)
    let user = user.map { ExactText(text: $0) }
    let member = PresentMember(membership, group: group, user: user, presence: self)
    wait(member, for: table.join(group, user, on: reactor))
    return member
  }

  /// Adds a session that was in the group's presence in another process.
  ///
  /// - Parameters:
  ///   - number: of its place among those who hear of presence.
  ///   - waits: whether it waits for the list.
  package func resume(
    _ session: any GroupMember, group: String, route: ObjectIdentifier, renderer: any EventRenderer,
    user: String?, number: MemberNumber?, waits: Bool
  ) -> PresentMember {
    let membership = groups.join(
      session, group: Self.hearers(of: group), route: route, renderer: renderer, number: number)
    let user = user.map { ExactText(text: $0) }
    table.resume(group, user, on: reactor)
    let member = PresentMember(membership, group: group, user: user, presence: self)
    if waits { member.askForList() }
    return member
  }

  /// The receivers of a group's presence form a group of their own, with a name that no other group can have, because not all
  /// members of the group receive presence.
  private static func hearers(of group: String) -> String { "\(group):presence" }

  fileprivate func leave(_ member: PresentMember) {
    groups.leave(member.membership)
    if !table.leave(member.group, member.user, on: reactor) { waiting[member.group] = nil }
  }

  fileprivate func want(_ member: PresentMember) {
    wait(member, for: table.want(member.group, on: reactor))
  }

  var isWaitedFor: Bool { !waiting.isEmpty }

  private func wait(_ member: PresentMember, for pass: Int) {
    member.pass = pass
    waiting[member.group, default: []].append(member)
  }

  /// A member that waits for the list does not get earlier changes, because the list contains them.
  func take(_ news: PresenceNews) {
    let members = waiting.removeValue(forKey: news.group) ?? []
    let present = members.filter { $0.pass != nil }
    groups.deliver(news.events, to: Self.hearers(of: news.group), except: present.map(\.membership))
    let ready = news.list == nil ? [] : present.filter { ($0.pass ?? .max) <= news.pass }
    for member in ready { member.pass = nil }
    let others = present.filter { $0.pass != nil }
    if !others.isEmpty { waiting[news.group] = others }
    if let list = news.list { groups.deliver(list, to: ready.map(\.membership)) }
  }
}

/// The presence of one session in one group. Made by `LocalPresence.join`, and kept by the session until it leaves.
package final class PresentMember {
  fileprivate let membership: Membership
  fileprivate let group: String
  fileprivate let user: ExactText?
  private let presence: LocalPresence
  /// The number of the list that it waits for.
  fileprivate var pass: Int?

  fileprivate init(_ membership: Membership, group: String, user: ExactText?, presence: LocalPresence) {
    self.membership = membership
    self.group = group
    self.user = user
    self.presence = presence
  }

  /// Its number among those who hear of presence, and whether it waits for the list.
  package var handed: (number: MemberNumber, waits: Bool) { (membership.number, pass != nil) }

  /// Asks for the list. Several calls before the list arrives count as one.
  package func askForList() {
    if pass == nil { presence.want(self) }
  }

  /// Sees presence as the sessions of another route do from now on.
  package func move(route: ObjectIdentifier, renderer: any EventRenderer) {
    presence.groups.move(membership, route: route, renderer: renderer)
  }

  package func leave() {
    pass = nil
    presence.leave(self)
  }
}
