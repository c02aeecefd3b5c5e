import ChannelLayers
import JSON

/// The mark of an event that a gateway has recorded and then sent through the layer for other programs: the field `sluice.id` with
/// the event's position in the history of its group.
///
/// Other programs can send any field, and forward events with all their fields to another group. So a mark counts only if its
/// epoch is one of the group's own, the present one or a recent one; an event with any other mark is a new event, and is recorded
/// without the mark. Epochs are random 32-bit numbers, so another group's epoch is hardly ever taken for one of these.
extension Event {
  static let recordMark = "sluice.id"
  /// Bytes.
  private static let longestMark = 32

  /// The position in the mark; nil if there is no mark, or none that a gateway wrote.
  var recordMark: EventPosition? {
    guard let value = self[Self.recordMark] else { return nil }
    switch value {
    case .json(.string(let text)) where text.utf8.count <= Self.longestMark: return EventPosition(text)
    case .text(let bytes) where bytes.count <= Self.longestMark:
      return EventPosition(String(decoding: bytes, as: UTF8.self))
    case .json, .encodedJSON, .text, .bytes: return nil
    }
  }

  /// The event as its publisher meant it.
  var withoutRecordMark: Event {
    guard self[Self.recordMark] != nil else { return self }
    var event = self
    event.fields.removeAll { $0.name == Self.recordMark }
    return event
  }
}
