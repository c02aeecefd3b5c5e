import Synchronization
package import Transport

/// Another reactor of the process, which has subscribers of a group.
package protocol GroupPeer: Sendable {
  /// Of the reactor.
  var number: Int { get }

  /// Lets the reactor look at its groups, after the mail that it was sent before.
  ///
  /// - Parameter look: called on that reactor; released if the reactor has ended.
  func post(_ look: @escaping @Sendable (LocalGroups) -> Void)
}

/// The mail that a layer sends to a reactor.
package protocol GroupMail: Sendable {
  /// Lets the reactor look at its groups.
  static func look(_ look: @escaping @Sendable (LocalGroups) -> Void) -> Self
}

/// A reactor's end of a layer, for the other reactors.
package struct GroupEnd<Mail: GroupMail>: GroupPeer {
  package let number: Int
  package let mailbox: Mailbox<Mail>

  package init(number: Int, mailbox: Mailbox<Mail>) {
    self.number = number
    self.mailbox = mailbox
  }

  package func post(_ look: @escaping @Sendable (LocalGroups) -> Void) {
    mailbox.post(.look(look))
  }
}

/// The reactors of a process that have subscribers of a layer's groups. Can be called from any thread.
package final class GroupEnds<Mail: GroupMail>: Sendable {
  private let stripes = Striped<[String: [GroupEnd<Mail>]]>([:])

  package init() {}

  package func add(_ end: GroupEnd<Mail>, to group: String) {
    stripes[group].part.withLock { $0[group, default: []].append(end) }
  }

  package func remove(_ number: Int, from group: String) {
    stripes[group].part.withLock { ends in
      ends[group]?.removeAll { $0.number == number }
      if ends[group]?.isEmpty == true { ends[group] = nil }
    }
  }

  /// The reactors with subscribers of the group.
  package subscript(group: String) -> [GroupEnd<Mail>] {
    stripes[group].part.withLock { $0[group] ?? [] }
  }

  /// The same without one of them.
  package func ends(of group: String, except number: Int) -> [GroupEnd<Mail>] {
    let ends = self[group]
    guard ends.contains(where: { $0.number == number }) else { return ends }
    return ends.count == 1 ? [] : ends.filter { $0.number != number }
  }
}
