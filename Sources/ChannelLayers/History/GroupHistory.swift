package import GatewayConfig
import Synchronization
package import Transport

/// The histories of a layer's groups in this process.
///
/// A group is kept while it is in use, and for its `age` after its last use or its last event. Then it is forgotten. If it is used
/// again, it begins with a new epoch.
package final class GroupHistory: Sendable {
  private struct Entry {
    var group: RecordedGroup
    /// The number of users that hold the group. While a group is held, no second group of its name is made.
    var users = 0
    var idleSince: MonotonicTime
  }

  private struct Table {
    var entries: [String: Entry] = [:]
    var nextSweep = MonotonicTime(nanoseconds: 0)
  }

  private static let sweepInterval = Duration.seconds(10)
  /// For how long events stay here that are too old for readers. A process that takes over the recording of a shared history compares
  /// with its copy what it has heard in this time.
  package static let overlap = Duration.seconds(12)
  private let stripes = Striped(Table())
  package let rules: HistoryRules
  private let memory: HistoryMemory

  package init(_ rules: HistoryRules, memory: HistoryMemory) {
    self.rules = rules
    self.memory = memory
    memory.register(self)
  }

  /// Returns the group of this name, and makes it if it is missing. It is held until `release` is called.
  package func acquire(
    _ name: String, _ limits: HistoryConfiguration, at now: MonotonicTime = .now
  ) -> RecordedGroup {
    let (group, bytes, isHeld) = stripes[name].part.withLock { table in
      var bytes = sweep(&table, at: now)
      var entry =
        table.entries[name]
        ?? {
          bytes += RecordedGroup.emptySize
          return Entry(group: RecordedGroup(name, limits, memory: memory, at: now), idleSince: now)
        }()
      entry.users += 1
      table.entries[name] = entry
      return (entry.group, bytes, entry.users == 1)
    }
    if isHeld { memory.hold(1) }
    memory.add(bytes)
    memory.makeRoom()
    return group
  }

  /// Returns the group of this name without holding it; nil if it is not kept.
  package func copy(of name: String) -> RecordedGroup? {
    stripes[name].part.withLock { $0.entries[name]?.group }
  }

  package func release(_ group: RecordedGroup, at now: MonotonicTime = .now) {
    let (bytes, isLeft) = stripes[group.name].part.withLock { table in
      table.entries[group.name]?.users -= 1
      table.entries[group.name]?.idleSince = now
      let isLeft = table.entries[group.name]?.users == 0
      return (sweep(&table, at: now), isLeft)
    }
    if isLeft { memory.hold(-1) }
    memory.add(bytes)
  }

  /// Forgets old events and unused groups, at most once in each `sweepInterval`. Returns the change of the used memory, in bytes:
  /// negative if memory was freed.
  private func sweep(_ table: inout Table, at now: MonotonicTime) -> Int {
    guard table.nextSweep <= now else { return 0 }
    table.nextSweep = now + Self.sweepInterval
    var bytes = 0
    for (name, entry) in table.entries {
      entry.group.trim(at: now, keptOn: Self.overlap)
      guard entry.users == 0, entry.group.isEmpty, entry.idleSince + entry.group.limits.age <= now else {
        continue
      }
      table.entries[name] = nil
      bytes -= RecordedGroup.emptySize
    }
    return bytes
  }

  /// Forgets old events and unused groups in the whole table. Without this call the events of a group that no client visits would
  /// stay. Each part of the table is locked for itself.
  package func forgetOld(at now: MonotonicTime = .now) {
    for stripe in stripes.all {
      memory.add(stripe.part.withLock { sweep(&$0, at: now) })
    }
  }

  func all() -> [RecordedGroup] {
    stripes.all.flatMap { $0.part.withLock { $0.entries.values.map(\.group) } }
  }

  /// Forgets a group that is not in use and whose events were removed to free memory.
  func forgetIfEmpty(_ group: RecordedGroup) {
    let isForgotten = stripes[group.name].part.withLock { table in
      guard let entry = table.entries[group.name], entry.group === group, entry.users == 0, group.isEmpty
      else { return false }
      table.entries[group.name] = nil
      return true
    }
    if isForgotten { memory.add(-RecordedGroup.emptySize) }
  }

  package var groupCount: Int { stripes.all.reduce(0) { $0 + $1.part.withLock { $0.entries.count } } }
}
