import Bytes
import ChannelLayers
import JSON

extension Event {
  /// The whole event as a JSON object, `type` first.
  func appendJSON(to bytes: inout [UInt8]) {
    bytes.append(contentsOf: #"{"type":"#.utf8)
    JSONText.append(string: type, to: &bytes)
    for field in fields {
      bytes.append(UInt8(ascii: ","))
      JSONText.append(string: field.name, to: &bytes)
      bytes.append(UInt8(ascii: ":"))
      bytes.append(contentsOf: field.value.jsonText ?? Array("null".utf8))
    }
    bytes.append(UInt8(ascii: "}"))
  }

  /// The value of one field as JSON. `type` is a field like the others, and a missing field is `null`.
  func appendJSON(field name: String, to bytes: inout [UInt8]) {
    if name == "type" {
      return JSONText.append(string: type, to: &bytes)
    }
    bytes.append(contentsOf: self[name]?.jsonText ?? Array("null".utf8))
  }

  /// Whether the event has the field, with a value that JSON can carry.
  func hasJSON(of name: String) -> Bool {
    name == "type" || self[name]?.isJSON == true
  }

  /// The value of one field inside a text: strings without quotes, everything else as JSON.
  func plainText(field name: String) -> String? {
    name == "type" ? type : self[name]?.plainText
  }
}

extension EventValue {
  /// Whether the value is not bytes.
  var isJSON: Bool { if case .bytes = self { false } else { true } }

  /// Whether the value is a string, in either form.
  var isText: Bool {
    switch self {
    case .text, .json(.string): true
    case .json, .encodedJSON, .bytes: false
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
