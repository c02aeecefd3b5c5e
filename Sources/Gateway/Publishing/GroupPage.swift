import ChannelLayers
import Sessions

/// The first groups by name of many that arrive in no order, and perhaps in several parts each.
struct GroupPage {
  private let count: Int
  private var sessions: [String: Int] = [:]
  /// No name after this one is needed any more; nil while there are few.
  private(set) var last: String?

  init(first count: Int) {
    self.count = count
  }

  func mayHold(_ group: String) -> Bool {
    last.map { group <= $0 } ?? true
  }

  mutating func add(_ members: Int, of group: String) {
    sessions[group, default: 0] += members
    // Only now and then, so that it costs each group little.
    guard sessions.count >= 2 * count + 256 else { return }
    let names = sessions.keys.sorted()
    last = names[count - 1]
    for name in names[count...] { sessions[name] = nil }
  }

  var groups: [(name: String, sessions: Int)] {
    sessions.sorted { $0.key < $1.key }.prefix(count).map { ($0.key, $0.value) }
  }
}

/// Which groups a listing has.
struct GroupFilter: Sendable {
  var prefix: String
  /// The last name of the previous page; empty for the first page.
  var after: String

  func has(_ group: String) -> Bool {
    group.hasPrefix(prefix) && (after.isEmpty || group > after)
  }
}

/// Lists the first groups by name with members in this process, and the numbers of their members. Confined to its reactor.
///
/// However many groups there are, a reactor visits a few in each round, and little more than a page is kept.
final class GroupListing {
  /// Groups that one reactor visits in one turn.
  private static let groupsPerTurn = 1024

  /// The groups that one turn of a worker found.
  private struct FoundGroups: Sendable {
    var counts: [(group: String, members: Int)] = []
    var next: Int?
  }

  private let layer: any LayerBackend
  private let filter: GroupFilter
  private let isAllowed: (String) -> Bool
  private let isWanted: () -> Bool
  private var page: GroupPage
  /// Where each worker goes on; nil at the end. Empty before the first round.
  private var starts: [Int?] = []

  /// - Parameters:
  ///   - count: the most groups.
  ///   - isWanted: whether the listing goes on; asked before each round.
  init(
    of layer: any LayerBackend, first count: Int, _ filter: GroupFilter,
    allowed isAllowed: @escaping (String) -> Bool, while isWanted: @escaping () -> Bool
  ) {
    self.layer = layer
    self.filter = filter
    self.isAllowed = isAllowed
    self.isWanted = isWanted
    page = GroupPage(first: count)
  }

  /// - Parameter completed: called once, unless the listing is not wanted any more.
  func run(
    through publisher: Publisher, from worker: WorkerSessions,
    _ completed: @escaping ([(name: String, sessions: Int)]) -> Void
  ) {
    guard isWanted() else { return }
    publisher.ask(from: worker) { [layer, filter, starts, last = page.last] worker, index in
      guard let start = starts.isEmpty ? 0 : starts[index] else { return FoundGroups() }
      let found = worker.layers[layer].layer.groups.memberCounts(from: start, most: Self.groupsPerTurn) {
        group in
        if let last, group > last { return false }
        return filter.has(group)
      }
      return FoundGroups(counts: found.counts, next: found.next)
    } _: { [self] answers in
      take(answers)
      guard starts.contains(where: { $0 != nil }) else { return completed(page.groups) }
      // Behind what the reactor has to do meanwhile.
      let reply = worker.reply { (_: Void?) in self.run(through: publisher, from: worker, completed) }
      reply.give(())
    }
  }

  private func take(_ answers: [FoundGroups?]) {
    for answer in answers {
      for (group, members) in answer?.counts ?? [] where page.mayHold(group) && isAllowed(group) {
        page.add(members, of: group)
      }
    }
    starts = answers.map { $0?.next }
  }
}
