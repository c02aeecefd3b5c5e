import Bytes
import GatewayConfig
package import JSON

/// A message of a channel layer: Django's message dict with its `type`.
public struct Event: Sendable, Hashable {
  /// `chat.message`, `broadcast.message`, `websocket.close`, or a type that a route's `events:` names; as its publisher wrote
  /// it.
  package var type: String
  /// The other keys of the dict, in their order.
  package var fields: [Field]
  /// The position in the history of its group; nil if the group has none. Never sent through a layer.
  package var position: EventPosition?
  /// The group that it came from, for renderers whose frames name it; nil for others. Never sent through a layer.
  package var group: String?

  package struct Field: Sendable, Hashable {
    package var name: String
    package var value: EventValue

    package init(_ name: String, _ value: EventValue) {
      self.name = name
      self.value = value
    }
  }

  package init(type: String, fields: [Field] = []) {
    self.type = type
    self.fields = fields
  }

  /// The type in the form in which it is looked up: `chat.message` for `chat_message` too.
  package var handler: String { HandlerName.of(type) }

  package subscript(name: String) -> EventValue? {
    fields.first { $0.name == name }?.value
  }
}

extension Event {
  /// The same event for a renderer.
  package func named(_ group: String, for renderer: any EventRenderer) -> Event {
    guard renderer.namesGroup, group != LocalGroups.nowhere else { return self }
    var event = self
    event.group = group
    return event
  }

  /// Roughly the memory that the event takes while it waits or is kept, in bytes.
  public var size: Int {
    fields.reduce(160 + type.utf8.count) { sum, field in
      let value =
        switch field.value {
        case .encodedJSON(let bytes), .text(let bytes), .bytes(let bytes): bytes.count
        case .json(let value): value.size
        }
      return sum + 64 + field.name.utf8.count + value
    }
  }
}

extension JSON {
  /// Roughly the memory of the value, in bytes. Parsed values have a bounded depth.
  fileprivate var size: Int {
    switch self {
    case .null, .bool, .unsigned, .integer, .double: 32
    case .string(let text): 32 + text.utf8.count
    case .array(let elements): elements.reduce(64) { $0 + $1.size }
    case .object(let members): members.reduce(64) { $0 + 32 + $1.key.utf8.count + $1.value.size }
    }
  }
}

/// The position of an event in the history of its group, written `EPOCH.OFFSET`: `5f3a9c01.42`.
///
/// Offsets of one epoch count up by one. Another epoch means that the earlier history is gone.
public struct EventPosition: Sendable, Hashable, CustomStringConvertible {
  package var epoch: UInt32
  package var offset: UInt64
  /// Scripts in Redis count the offsets, and their numbers are exact up to this one. A larger offset cannot be real.
  package static let largestOffset: UInt64 = 1 << 53

  package init(epoch: UInt32, offset: UInt64) {
    self.epoch = epoch
    self.offset = offset
  }

  /// Reads what `description` writes; nil for anything else.
  public init?(_ text: some StringProtocol) {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 2, (1...8).contains(parts[0].utf8.count), (1...20).contains(parts[1].utf8.count),
      parts[1].isOfDigits,
      let epoch = UInt32(hexadecimal: parts[0]), let offset = UInt64(parts[1]),
      offset <= Self.largestOffset
    else { return nil }
    self.init(epoch: epoch, offset: offset)
  }

  public var description: String { "\(String(epoch, radix: 16)).\(offset)" }
}

/// A value in an event: the common types of JSON and MessagePack, and bytes.
///
/// Text that a session passes on is kept in its encoded bytes, so that it is not parsed only to be written again.
package enum EventValue: Sendable, Hashable {
  case json(JSON)
  /// JSON text that was checked, to be passed on unchanged.
  case encodedJSON([UInt8])
  /// Valid UTF-8.
  case text([UInt8])
  case bytes([UInt8])
}
