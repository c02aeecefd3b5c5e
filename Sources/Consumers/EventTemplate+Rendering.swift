import ChannelLayers
import GatewayConfig
import JSON

extension EventTemplate {
  /// The JSON text this template makes of an event. A field the event lacks is `null`, and nothing inside a text.
  ///
  /// - Parameter address: of the session that is sent it; the event has no field of its name.
  func rendered(_ event: Event, address: String?) -> [UInt8] {
    var event = event
    if let address {
      event.fields.removeAll { $0.name == Self.addressPlace }
      event.fields.append(.init(Self.addressPlace, .json(.string(address))))
    }
    var bytes: [UInt8] = []
    append(event, to: &bytes)
    return bytes
  }

  private func append(_ event: Event, to bytes: inout [UInt8]) {
    switch self {
    case .wholeEvent:
      event.appendJSON(to: &bytes)
    case .field(let name):
      event.appendJSON(field: name, to: &bytes)
    case .text(let template):
      JSONText.append(string: template.filled { event.plainText(field: $0) }, to: &bytes)
    case .constant(let value):
      value.append(to: &bytes)
    case .array(let elements):
      bytes.append(UInt8(ascii: "["))
      for (index, element) in elements.enumerated() {
        if index > 0 { bytes.append(UInt8(ascii: ",")) }
        element.append(event, to: &bytes)
      }
      bytes.append(UInt8(ascii: "]"))
    case .object(let members):
      bytes.append(UInt8(ascii: "{"))
      for (index, member) in members.enumerated() {
        if index > 0 { bytes.append(UInt8(ascii: ",")) }
        JSONText.append(string: member.key, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        member.value.append(event, to: &bytes)
      }
      bytes.append(UInt8(ascii: "}"))
    }
  }
}
