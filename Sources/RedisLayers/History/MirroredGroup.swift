import ChannelLayers
import DequeModule
import Transport

/// A group whose history is in Redis, with a copy for the reactors that have members of the group. Confined to the `RedisHistory`.
final class MirroredGroup {
  /// An event that was announced while the history was being loaded.
  struct Announcement {
    var position: EventPosition
    var stamp: UInt64
    var payload: [UInt8]
  }

  /// An event of another program that another process should record.
  struct Heard {
    var event: Event
    var time: MonotonicTime
  }

  /// The most announcements that are kept during a load. If there are more, the history is loaded again.
  private static let mostArrived = (count: 2000, bytes: 4 << 20)
  /// How long an event is kept that another process should record. It takes less time to notice that the process did not.
  static let memory = GroupHistory.overlap
  private static let mostHeard = (count: 2000, bytes: 4 << 20)

  let copy: RecordedGroup
  let shard: Int
  var reactors: Set<Int> = []
  var waiting: Set<Int> = []
  /// When the last reactor stopped using the group; nil while a reactor uses it.
  var idleSince: MonotonicTime?
  /// Whether the copy follows the announcements, and hears everything that is published to the group.
  var isActive = false {
    didSet {
      if isActive != oldValue { hearsSince = isActive ? .now : nil }
    }
  }
  private var hearsSince: MonotonicTime?
  var isLoading = false
  /// Whether an announced event could not be added to the copy.
  var mustLoadAgain = false
  /// Whether this process records, after the next load, the events that the previous recorder did not record.
  var mustTakeOver = false
  /// When this process stops recording the events of other programs; nil while another process records them.
  var recordsUntil: MonotonicTime?
  private(set) var arrived: [Announcement] = []
  private var arrivedBytes = 0
  private(set) var heard: Deque<Heard> = []
  private var heardBytes = 0

  init(_ copy: RecordedGroup, shard: Int) {
    self.copy = copy
    self.shard = shard
  }

  var name: String { copy.name }

  /// How long this process has heard all that is published to the group.
  func hearingTime(at now: MonotonicTime) -> Duration {
    hearsSince.map(now.since) ?? .zero
  }

  func isRecorder(at now: MonotonicTime) -> Bool { recordsUntil.map { now < $0 } ?? false }

  func arrive(_ announcement: Announcement) {
    arrivedBytes += announcement.payload.count
    guard arrived.count < Self.mostArrived.count, arrivedBytes < Self.mostArrived.bytes else {
      _ = takeArrived()
      mustLoadAgain = true
      return
    }
    arrived.append(announcement)
  }

  func takeArrived() -> [Announcement] {
    defer {
      arrived = []
      arrivedBytes = 0
    }
    return arrived
  }

  func hear(_ event: Event, at now: MonotonicTime) {
    forgetHeard(at: now)
    heard.append(Heard(event: event, time: now))
    heardBytes += event.size
    while heard.count > Self.mostHeard.count || heardBytes > Self.mostHeard.bytes { forgetFirstHeard() }
  }

  func forgetHeard(at now: MonotonicTime) {
    while let first = heard.first, first.time + Self.memory <= now { forgetFirstHeard() }
  }

  private func forgetFirstHeard() {
    heardBytes -= heard.removeFirst().event.size
  }

  /// Returns the events of the last seconds that were not recorded, without marks. The new recorder records them.
  func takeUnrecorded(at now: MonotonicTime) -> [Event] {
    forgetHeard(at: now)
    guard !heard.isEmpty else { return [] }
    let since = MonotonicTime(
      nanoseconds: now.nanoseconds - min(now.nanoseconds, Self.memory.wholeNanoseconds))
    var recorded: [Event: Int] = [:]
    for event in copy.foreign(since: since) { recorded[event, default: 0] += 1 }
    defer {
      heard = []
      heardBytes = 0
    }
    return heard.map(\.event).compactMap { heard in
      // The copy is up to date now, so it knows the epoch of every event that a gateway has recorded.
      if let mark = heard.recordMark, copy.hasHad(epoch: mark.epoch) { return nil }
      let event = heard.withoutRecordMark
      guard let count = recorded[event], count > 0 else { return event }
      recorded[event] = count - 1
      return nil
    }
  }
}
