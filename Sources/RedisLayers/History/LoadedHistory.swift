import ChannelLayers
import RedisClient
import Transport

/// A part of a history, as the script `load` gives it.
struct LoadedHistory {
  struct Entry {
    var offset: UInt64
    /// When it was recorded. Milliseconds of the server's clock.
    var time: UInt64
    var stamp: UInt64
    var payload: RESPValue
  }

  /// The position of the last event of the stream.
  let last: EventPosition
  /// The offset of the first event that is kept.
  let first: UInt64
  /// Milliseconds of the server's clock.
  let now: UInt64
  let isRecorder: Bool
  let entries: [Entry]

  init(_ reply: RESPValue) throws(RedisFailure) {
    guard case .array(let parts) = reply, parts.count == 6, let epoch = parts[0].text,
      case .integer(let last) = parts[1], case .integer(let first) = parts[2],
      let now = parts[3].text.flatMap(UInt64.init), case .integer(let isRecorder) = parts[4],
      case .array(let values) = parts[5], let position = EventPosition("\(epoch).\(last)"),
      (0...Int64(EventPosition.largestOffset)).contains(first)
    else { throw .unexpectedReply(to: "EVALSHA") }
    var entries: [Entry] = []
    for index in stride(from: 0, to: values.count - 2, by: 3) {
      guard let id = values[index].text?.split(separator: "-"), id.count == 2, let offset = UInt64(id[0]),
        (1...EventPosition.largestOffset).contains(offset), let time = UInt64(id[1]),
        let stamp = values[index + 1].text.flatMap(UInt64.init)
      else { throw .unexpectedReply(to: "EVALSHA") }
      entries.append(Entry(offset: offset, time: time, stamp: stamp, payload: values[index + 2]))
    }
    (self.last, self.first, self.now) = (position, UInt64(first), now)
    (self.isRecorder, self.entries) = (isRecorder == 1, entries)
  }

  /// When the event was recorded, on this machine's clock. An event that is older than the machine's uptime gets the time 0.
  func localTime(of entry: Entry, at local: MonotonicTime) -> MonotonicTime {
    let age = (now > entry.time ? now - entry.time : 0).multipliedReportingOverflow(by: 1_000_000)
    let isKnown = !age.overflow && local.nanoseconds > age.partialValue
    return MonotonicTime(nanoseconds: isKnown ? local.nanoseconds - age.partialValue : 0)
  }
}
