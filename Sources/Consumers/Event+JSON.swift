import Bytes
import ChannelLayers
import GatewayConfig
import JSON
import WebSocketCore

extension Event {
  /// The whole event as a JSON object, `type` first, without what only the gateway reads of it.
  func appendJSON(to bytes: inout [UInt8]) {
    bytes.append(contentsOf: #"{"type":"#.utf8)
    JSONText.append(string: type, to: &bytes)
    for field in fields where !Self.isOwn(field: field.name) && field.name != EventTemplate.groupPlace {
      bytes.append(UInt8(ascii: ","))
      JSONText.append(string: field.name, to: &bytes)
      bytes.append(UInt8(ascii: ":"))
      bytes.append(contentsOf: field.value.jsonText ?? Array("null".utf8))
    }
    bytes.append(UInt8(ascii: "}"))
  }

  /// `type` is a field like the others.
  func value(of field: String) -> EventValue? {
    field == "type" ? .text(Array(type.utf8)) : self[field]
  }

  /// The event's `text` or `bytes`. ASGI: exactly one of them must be given.
  ///
  /// - Returns: nil if the event has neither, or not in the form of a message.
  var message: (kind: MessageKind, payload: [UInt8])? {
    switch self["text"] {
    case .text(let utf8)?: return (.text, utf8)
    case .json(.string(let string))?: return (.text, Array(string.utf8))
    case .bytes?, .encodedJSON?: return nil
    case nil, .json?:
      guard case .bytes(let bytes) = self["bytes"] else { return nil }
      return (.binary, bytes)
    }
  }
}

extension EventValue {
  /// Whether the value is not bytes.
  var isJSON: Bool { if case .bytes = self { false } else { true } }

  /// A string, in either form, as JSON text; nil for any other value.
  var stringAsJSON: [UInt8]? {
    switch self {
    case .text, .json(.string): jsonText
    case .json, .encodedJSON, .bytes: nil
    }
  }

  /// The value as JSON text; nil for bytes, which JSON cannot carry.
  var jsonText: [UInt8]? {
    var text: [UInt8] = []
    switch self {
    case .json(let value): value.append(to: &text)
    case .encodedJSON(let encoded): return encoded
    case .text(let utf8): JSONText.append(string: String(decoding: utf8, as: UTF8.self), to: &text)
    case .bytes: return nil
    }
    return text
  }

  /// Strings without quotes, everything else as JSON; nil for bytes and null.
  package var plainText: String? {
    switch self {
    case .json(.string(let string)): return string
    case .json(.null): return nil
    case .text(let utf8): return String(decoding: utf8, as: UTF8.self)
    case .encodedJSON(let encoded):
      // The text was checked before, so parsing it cannot fail.
      guard let value = try? JSON.parse(encoded.rawBytes) else { return nil }
      return EventValue.json(value).plainText
    case .json, .bytes:
      return jsonText.map { String(decoding: $0, as: UTF8.self) }
    }
  }
}
