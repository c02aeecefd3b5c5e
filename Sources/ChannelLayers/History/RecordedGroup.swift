import DequeModule
package import GatewayConfig
import Synchronization
package import Transport

/// The part of one group's history that is kept in this process: events with consecutive offsets.
///
/// All reactors share it. Its lock is held only while a few events are copied.
package final class RecordedGroup: Sendable {
  package let name: String
  package let limits: HistoryConfiguration
  private let age: UInt64
  private let memory: HistoryMemory
  private let state: Mutex<Kept>
  /// The reactors that read it.
  private let readers = Mutex<[Reader]>([])

  struct Reader: Sendable {
    var number: Int
    var wake: HistoryWake
  }

  private struct Item {
    /// With its position.
    var event: Event
    var time: MonotonicTime
    var size: Int
    /// Distinguishes it from other events with the same position; see `newStamp`.
    var stamp: UInt64
  }

  private struct Kept {
    var epoch: UInt32
    /// The offset of the last event, which may not be kept any more.
    var lastOffset: UInt64 = 0
    var items: Deque<Item> = []
    var lastPublished: MonotonicTime
    /// The stamps of the events that were kept under the previous epoch.
    var stampsBefore: Set<UInt64> = []
    /// The epochs before this one, the latest last.
    var epochsBefore: [UInt32] = []
    /// The offset of the last event that was also kept under the previous epoch. Reactors do not deliver events again up to here.
    var repeatedUntil: UInt64 = 0

    /// The offset before the first kept event.
    var keptBehind: UInt64 { lastOffset - UInt64(items.count) }
    var last: EventPosition { EventPosition(epoch: epoch, offset: lastOffset) }

    /// - Returns: the bytes that were freed.
    mutating func removeFirst() -> Int { items.removeFirst().size }
  }

  /// The number of additional events that are kept for reactors that have not delivered them yet, so that a burst of events does not
  /// cause a gap.
  static let slack = 1000

  /// The number of earlier epochs that a copy remembers.
  private static let mostEpochsBefore = 8

  /// The memory of a group without events. Bytes.
  static let emptySize = 512

  init(_ name: String, _ limits: HistoryConfiguration, memory: HistoryMemory, at now: MonotonicTime) {
    self.name = name
    self.limits = limits
    self.memory = memory
    age = limits.age.wholeNanoseconds
    state = Mutex(Kept(epoch: Self.newEpoch(), lastPublished: now))
  }

  /// Returns a random epoch. It is never 0, and is very unlikely to equal an earlier one.
  package static func newEpoch() -> UInt32 { .random(in: 1 ... .max) }

  package var last: EventPosition { state.withLock { $0.last } }

  var lastPublished: MonotonicTime { state.withLock { $0.lastPublished } }

  var isEmpty: Bool { state.withLock { $0.items.isEmpty } }

  // MARK: - Writing

  /// Adds the event as the next one. The caller has to wake the readers.
  @discardableResult
  package func append(_ event: Event, at now: MonotonicTime = .now) -> EventPosition {
    let (position, bytes) = state.withLock { state in
      let bytes = add(event, at: now, stamp: 0, to: &state)
      state.lastPublished = now
      return (state.last, bytes + removeOld(from: &state, at: now))
    }
    memory.add(bytes)
    memory.makeRoom()
    return position
  }

  /// - Returns: the change of the used memory, in bytes.
  private func add(_ event: Event, at time: MonotonicTime, stamp: UInt64, to state: inout Kept) -> Int {
    var freed = 0
    while state.items.count >= limits.messages + Self.slack { freed += state.removeFirst() }
    state.lastOffset += 1
    var event = event
    event.position = state.last
    let size = event.size
    state.items.append(Item(event: event, time: time, size: size, stamp: stamp))
    return size - freed
  }

  private func removeOld(from state: inout Kept, at now: MonotonicTime, keptOn time: UInt64 = 0) -> Int {
    var freed = 0
    while let first = state.items.first, first.time.nanoseconds &+ age &+ time <= now.nanoseconds {
      freed += state.removeFirst()
    }
    return -freed
  }

  /// Removes the oldest events until so many bytes are freed, or no event is left, and returns the freed bytes.
  func dropOldest(_ bytes: Int) -> Int {
    state.withLock { state in
      var freed = 0
      while freed < bytes, !state.items.isEmpty { freed += state.removeFirst() }
      return freed
    }
  }

  /// Removes old events, which are kept for `time` longer than their age.
  func trim(at now: MonotonicTime, keptOn time: Duration) {
    memory.add(state.withLock { removeOld(from: &$0, at: now, keptOn: time.wholeNanoseconds) })
  }

  // MARK: - In another process

  var handedState: State {
    var handed = State(name: name)
    state.withLock { state in
      (handed.epoch, handed.lastOffset) = (state.epoch, state.lastOffset)
      handed.lastPublished = state.lastPublished.nanoseconds
      handed.items = state.items.map { State.Item($0.event, at: $0.time.nanoseconds) }
    }
    return handed
  }

  /// Goes on where another process has left the history, before the first event.
  func resume(_ handed: State) {
    let bytes = state.withLock { state in
      state.epoch = handed.epoch
      state.lastOffset = handed.lastOffset - UInt64(handed.items.count)
      state.lastPublished = MonotonicTime(nanoseconds: handed.lastPublished)
      return handed.items.reduce(0) {
        $0 + add($1.event, at: MonotonicTime(nanoseconds: $1.time), stamp: 0, to: &state)
      }
    }
    memory.add(bytes)
  }

  // MARK: - Reading

  /// Reads the events after a position.
  ///
  /// - Parameters:
  ///   - position: nil for all kept events.
  ///   - limit: the last position to read; nil for all.
  ///   - bytes: the slice ends before it exceeds this size, but has at least one event.
  ///   - now: if set, old events are removed first, and at most `limits.messages` events are read; nil to read all kept events.
  ///   - skipsRepeated: leaves out events that reactors delivered under the previous epoch.
  package func read(
    behind position: EventPosition?, upTo limit: EventPosition? = nil, bytes: Int = .max,
    at now: MonotonicTime?, skipsRepeated: Bool = false
  ) -> HistorySlice {
    let (slice, freed) = state.withLock { state in
      let freed = now.map { removeOld(from: &state, at: $0) } ?? 0
      let end =
        limit.map { $0.epoch == state.epoch ? min($0.offset, state.lastOffset) : 0 } ?? state.lastOffset
      var kept = state.keptBehind
      // The additional events for slow reactors are not part of replays.
      if now != nil, state.items.count > limits.messages { kept = state.lastOffset - UInt64(limits.messages) }
      if skipsRepeated { kept = max(kept, state.repeatedUntil) }
      kept = min(kept, end)
      var slice = HistorySlice(start: EventPosition(epoch: state.epoch, offset: kept))
      if let position {
        if position.epoch == state.epoch, (kept...end).contains(position.offset) {
          slice.start = position
        } else {
          slice.isGap = true
        }
      }
      var size = 0
      for offset in slice.start.offset..<end {
        let item = state.items[Int(offset - state.keptBehind)]
        guard size == 0 || size + item.size <= bytes else { break }
        slice.events.append(item.event)
        size += item.size
      }
      slice.isLast = slice.end.offset == end
      return (slice, freed)
    }
    memory.add(freed)
    return slice
  }

  // MARK: - Readers

  func add(_ reader: Reader) {
    readers.withLock { $0.append(reader) }
  }

  func removeReader(_ number: Int) {
    readers.withLock { $0.removeAll { $0.number == number } }
  }

  /// Wakes the reactors, but the one that needs no wake-up. They then read the new events.
  package func wakeReaders(except number: Int? = nil) {
    let waiting = readers.withLock { $0 }
    for reader in waiting where reader.number != number { reader.wake.add(name) }
  }
}

// MARK: - Copies of a history outside of this process

extension RecordedGroup {
  /// The result of `insert`.
  package enum Insertion: Sendable, Equatable {
    case inserted
    /// The copy has the event already.
    case known
    /// The copy has another event at this position: the original was replaced by an older state.
    case contradicts
    /// Events before this one are missing, or it is of another epoch.
    case ahead
  }

  /// Adds the event that the original has at this position.
  ///
  /// - Parameters:
  ///   - time: when it was published, on this machine's clock.
  ///   - stamp: differs for two events of one position.
  package func insert(
    _ event: Event, at position: EventPosition, time: MonotonicTime, stamp: UInt64
  ) -> Insertion {
    let (insertion, bytes) = state.withLock { state -> (Insertion, Int) in
      guard position.epoch == state.epoch, position.offset <= state.lastOffset + 1 else { return (.ahead, 0) }
      if position.offset <= state.lastOffset {
        guard position.offset > state.keptBehind else { return (.known, 0) }
        let kept = state.items[Int(position.offset - state.keptBehind - 1)]
        return (kept.stamp == stamp ? .known : .contradicts, 0)
      }
      state.lastPublished = time
      if state.stampsBefore.contains(stamp) { state.repeatedUntil = position.offset }
      return (.inserted, add(event, at: time, stamp: stamp, to: &state))
    }
    memory.add(bytes)
    memory.makeRoom()
    return insertion
  }

  /// Removes all events: the original keeps nothing up to the position, or has begun a new epoch.
  package func restart(behind position: EventPosition) {
    let freed = state.withLock { state in
      let freed = state.items.reduce(0) { $0 + $1.size }
      if state.epoch != position.epoch {
        if !state.items.isEmpty { state.stampsBefore = Set(state.items.map(\.stamp)) }
        state.repeatedUntil = 0
        if state.epochsBefore.count == Self.mostEpochsBefore { state.epochsBefore.removeFirst() }
        state.epochsBefore.append(state.epoch)
      }
      state.items.removeAll()
      state.epoch = position.epoch
      state.lastOffset = position.offset
      return freed
    }
    memory.add(-freed)
  }

  /// Whether this is the epoch of the history, or one of its last epochs.
  package func hasHad(epoch: UInt32) -> Bool {
    state.withLock { $0.epoch == epoch || $0.epochsBefore.contains(epoch) }
  }

  /// Returns a random stamp, which distinguishes events of one position. Its lowest bit says whether another program published the
  /// event.
  package static func newStamp(isForeign: Bool) -> UInt64 {
    UInt64.random(in: 0 ... .max) & ~1 | (isForeign ? 1 : 0)
  }

  /// Returns the events that other programs published since then, without positions.
  package func foreign(since time: MonotonicTime) -> [Event] {
    state.withLock { state in
      state.items.reversed().prefix { $0.time >= time }.filter { $0.stamp & 1 == 1 }.map { item in
        var event = item.event
        event.position = nil
        return event
      }
    }
  }
}
