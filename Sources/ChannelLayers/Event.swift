package import JSON

/// What travels through a channel layer: Django's message dict with its `type`.
public struct Event: Sendable, Hashable {
  /// `chat.message`, `broadcast.message`, `websocket.close`, or what a route's `events:` names.
  package var type: String
  /// The other keys of the dict, in their order.
  package var fields: [Field]

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

  package subscript(name: String) -> EventValue? {
    fields.first { $0.name == name }?.value
  }
}

/// A value in an event: what JSON and MessagePack have in common, and bytes.
///
/// Text that a session hands on is kept as the bytes it came as, so that nothing is parsed only to be written again.
package enum EventValue: Sendable, Hashable {
  case json(JSON)
  /// JSON text that was checked, to be handed on as it is.
  case encodedJSON([UInt8])
  /// Valid UTF-8.
  case text([UInt8])
  case bytes([UInt8])
}
