import ChannelLayers
import Transport

/// The records of this process on one server: what is written there, and what has to be.
///
/// Records of one kind are in one lot, which another process takes over as a whole. A process that has lost a lot begins a new one, and
/// writes all of its records again. A value that knows nothing of connections.
struct OwnRecords {
  /// Called once: whether the record is kept.
  typealias Kept = @Sendable (Bool) -> Void

  private struct Entry {
    var record: KeptRecord
    /// Where it was last written, or is being written; nil before.
    var lot: String?
    /// Whether it is let go of once it is written.
    var isParked = false
  }

  /// What is written in one step.
  struct Batch: Sendable {
    var lot: String
    var kind: String
    /// Whether the lot may not be there yet.
    var isNew: Bool
    var written: [(address: String, content: any RecordContent)] = []
    var removed: [String] = []

    var isEmpty: Bool { written.isEmpty && removed.isEmpty }
  }

  private(set) var identity: RecordsIdentity
  private var entries: [String: Entry] = [:]
  private var unwritten: Set<String> = []
  /// What has to be removed from a lot.
  private var removed: [String: (kind: String, addresses: Set<String>)] = [:]
  /// The lots of this process by kind, and whether each is known to be there.
  private var lots: [String: (name: String, isThere: Bool)] = [:]
  private var waiting: [String: (kept: [Kept], deadline: MonotonicTime)] = [:]
  /// Lots with records that are there and not here.
  private(set) var parked: [String: String] = [:]

  /// Lots of the process that this one goes on for, until it is known whether they are still there: the records of its sessions are in them.
  private var inherited: [String: String] = [:]

  init(_ identity: RecordsIdentity) {
    self.identity = identity
  }

  /// Goes on for another process. What is left of its records once its sessions are kept here is read again.
  init(resuming state: RecordLots) {
    identity = RecordsIdentity(id: state.process, generation: state.lost)
    for lot in state.lots where !lot.isTaken {
      lots[lot.kind] = (lot.name, true)
      parked[lot.name] = lot.kind
      inherited[lot.kind] = lot.name
    }
  }

  /// For the process that takes this one's place.
  var handed: RecordLots {
    var handed = RecordLots(of: identity.id, lost: identity.generation)
    for (kind, lot) in lots where lot.isThere { handed.lots.append(.init(lot.name, of: kind)) }
    return handed
  }

  /// The lots that are lost are known.
  mutating func confirmInherited() { inherited = [:] }

  var isEmpty: Bool { unwritten.isEmpty && removed.isEmpty }
  var count: Int { entries.count }
  /// The lots that should be there.
  var names: [String] { lots.values.filter(\.isThere).map(\.name) }

  func has(_ address: String) -> Bool { entries[address] != nil }

  // MARK: - Changes

  mutating func keep(_ record: KeptRecord, until deadline: MonotonicTime, _ kept: Kept?) {
    let old = entries[record.address]
    if let old, let lot = old.lot, old.record.kind != record.kind {
      remove(record.address, from: lot, of: old.record.kind)
    }
    let isSameLot = old?.record.kind == record.kind
    let lot = old == nil ? inherited[record.kind] : isSameLot ? old?.lot : nil
    entries[record.address] = Entry(record: record, lot: lot)
    unwritten.insert(record.address)
    if let kept { waiting[record.address, default: ([], deadline)].kept.append(kept) }
  }

  mutating func drop(_ address: String) {
    answer(address, false)
    unwritten.remove(address)
    guard let entry = entries.removeValue(forKey: address), let lot = entry.lot else { return }
    remove(address, from: lot, of: entry.record.kind)
  }

  private mutating func remove(_ address: String, from lot: String, of kind: String) {
    removed[lot, default: (kind, [])].addresses.insert(address)
  }

  /// The record stays there, and is let go of here.
  mutating func park(_ address: String) {
    guard let entry = entries[address] else { return }
    guard !unwritten.contains(address), let lot = entry.lot else {
      entries[address]?.isParked = true
      return
    }
    entries[address] = nil
    parked[lot] = entry.record.kind
  }

  /// These were found in the lot. Those that are kept in another one by now are removed.
  mutating func found(_ addresses: [String], in lot: String, of kind: String) {
    for address in addresses {
      guard let entry = entries[address], entry.lot != lot else { continue }
      remove(address, from: lot, of: kind)
    }
  }

  /// What was parked in the lot was read again.
  mutating func unpark(_ lot: String) { parked[lot] = nil }

  /// The route of these records asks another view from now on.
  mutating func rename(_ kind: String, to new: String) {
    for (address, entry) in entries where entry.record.kind == kind {
      var record = entry.record
      record.kind = new
      keep(record, until: MonotonicTime(nanoseconds: .max), nil)
      entries[address]?.isParked = entry.isParked
    }
    for (lot, parkedKind) in parked where parkedKind == kind { parked[lot] = new }
  }

  private mutating func answer(_ address: String, _ isKept: Bool) {
    guard let kept = waiting.removeValue(forKey: address)?.kept else { return }
    for kept in kept { kept(isKept) }
  }

  /// Gives up the records that somebody has waited for too long.
  mutating func expire(at now: MonotonicTime) {
    for (address, wait) in waiting where wait.deadline <= now { drop(address) }
  }

  /// Gives up all records that somebody waits for.
  mutating func refuseWaiting() {
    for address in Array(waiting.keys) { drop(address) }
  }

  // MARK: - Writing

  /// The next step; nil if there is nothing to do. It ends with `wrote`, `failed` or `lost`, before the next one is taken.
  mutating func next(most: Int = 200) -> Batch? {
    if let address = unwritten.first, let kind = entries[address]?.record.kind {
      return nextWritten(kind, most)
    }
    guard let (lot, gone) = removed.first else { return nil }
    let part = Array(gone.addresses.prefix(most))
    removed[lot]?.addresses.subtract(part)
    if removed[lot]?.addresses.isEmpty == true { removed[lot] = nil }
    return Batch(lot: lot, kind: gone.kind, isNew: false, removed: part)
  }

  private mutating func nextWritten(_ kind: String, _ most: Int) -> Batch {
    let lot = lots[kind] ?? (identity.lot(of: kind), false)
    lots[kind] = lot
    var batch = Batch(lot: lot.name, kind: kind, isNew: !lot.isThere)
    for address in unwritten {
      guard batch.written.count < most else { break }
      guard let entry = entries[address], entry.record.kind == kind else { continue }
      entries[address]?.lot = lot.name
      // It may have been dropped and come again.
      removed[lot.name]?.addresses.remove(address)
      batch.written.append((address, entry.record.content))
    }
    for (address, _) in batch.written { unwritten.remove(address) }
    if removed[lot.name]?.addresses.isEmpty == true { removed[lot.name] = nil }
    return batch
  }

  mutating func wrote(_ batch: Batch) {
    if lots[batch.kind]?.name == batch.lot { lots[batch.kind]?.isThere = true }
    for (address, _) in batch.written {
      answer(address, true)
      guard !unwritten.contains(address), entries[address]?.isParked == true else { continue }
      entries[address] = nil
      parked[batch.lot] = batch.kind
    }
  }

  /// Nobody knows what of it was written.
  mutating func failed(_ batch: Batch) {
    for (address, _) in batch.written where entries[address] != nil { unwritten.insert(address) }
    for address in batch.removed where entries[address]?.lot != batch.lot {
      remove(address, from: batch.lot, of: batch.kind)
    }
  }

  /// A lot is not there any more, or belongs to another process. Everything in it is written again, into a new one.
  ///
  /// - Returns: the addresses of the records that were in it.
  mutating func lost(_ lot: String) -> [String] {
    removed[lot] = nil
    parked[lot] = nil
    guard let kind = lots.first(where: { $0.value.name == lot })?.key else { return [] }
    identity.generation += 1
    lots[kind] = nil
    var were: [String] = []
    for (address, entry) in entries where entry.lot == lot {
      were.append(address)
      entries[address]?.lot = nil
      unwritten.insert(address)
    }
    return were
  }
}
