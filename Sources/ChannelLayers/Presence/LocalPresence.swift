import JSON
package import Transport

/// A reactor's end of presence: it tells the table who comes and goes, and its members what the table says.
///
/// Confined to its reactor.
package final class LocalPresence {
  private let table: PresenceTable
  private let reactor: Int
  private let groups: LocalGroups
  /// Who waits for the list of a group, those that have gone since included.
  private var waiting: [String: [PresentMember]] = [:]

  /// - Parameters:
  ///   - number: of the reactor.
  ///   - groups: those of the layer on this reactor.
  package init(reactor: Reactor, number: Int, table: PresenceTable, groups: LocalGroups) {
    self.table = table
    self.reactor = number
    self.groups = groups
    table.add(reactor.mailbox { [self] (news: [PresenceNews]) in news.forEach(take) }, of: number)
  }

  /// The member is there from now on, and is told who else is.
  ///
  /// - Parameter user: nil for one that is anonymous.
  package func join(_ membership: Membership, user: String?) -> PresentMember {
    let member = PresentMember(membership, user: user.map { ExactText(text: $0) }, presence: self)
    wait(member, for: table.join(membership.group, member.user, on: reactor))
    return member
  }

  fileprivate func leave(_ member: PresentMember) {
    let group = member.membership.group
    if !table.leave(group, member.user, on: reactor) { waiting[group] = nil }
  }

  fileprivate func want(_ member: PresentMember) {
    wait(member, for: table.want(member.membership.group, on: reactor))
  }

  private func wait(_ member: PresentMember, for pass: Int) {
    member.pass = pass
    waiting[member.membership.group, default: []].append(member)
  }

  /// Whoever waits for the list is not told of changes before it: they are in it.
  private func take(_ news: PresenceNews) {
    let members = waiting.removeValue(forKey: news.group) ?? []
    let present = members.filter { $0.pass != nil }
    groups.deliver(news.events, to: news.group, except: present.map(\.membership))
    let ready = news.list == nil ? [] : present.filter { ($0.pass ?? .max) <= news.pass }
    for member in ready { member.pass = nil }
    let others = present.filter { $0.pass != nil }
    if !others.isEmpty { waiting[news.group] = others }
    if let list = news.list { groups.deliver(list, to: ready.map(\.membership)) }
  }
}

/// One session's presence in one group; made by `LocalPresence.join` and kept by the session until it leaves.
package final class PresentMember {
  fileprivate let membership: Membership
  fileprivate let user: ExactText?
  private let presence: LocalPresence
  /// Whose list it waits for.
  fileprivate var pass: Int?

  fileprivate init(_ membership: Membership, user: ExactText?, presence: LocalPresence) {
    self.membership = membership
    self.user = user
    self.presence = presence
  }

  /// Asks for the list; however often before it comes, once is enough.
  package func askForList() {
    if pass == nil { presence.want(self) }
  }

  package func leave() {
    pass = nil
    presence.leave(self)
  }
}
