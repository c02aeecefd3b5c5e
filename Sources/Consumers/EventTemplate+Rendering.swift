import ChannelLayers
import GatewayConfig
import JSON

extension EventTemplate {
  /// Renders the event with this template, as JSON text. A field that the event does not have becomes `null`, or nothing inside
  /// a text.
  ///
  /// - Parameters:
  ///   - receiver: the receiving session, for a personal frame.
  ///   - unfit: called for fields that are missing, or that JSON cannot carry.
  func rendered(_ event: Event, for receiver: EventReceiver?, _ unfit: UnfitEvents?) -> [UInt8] {
    var event = event
    let own = [(Self.addressPlace, receiver?.address), (Self.groupPlace, event.group)]
    for case (let place, let value?) in own {
      event.fields.removeAll { $0.name == place }
      event.fields.append(.init(place, .json(.string(value))))
    }
    if let receiver {
      event.fields.removeAll { $0.name == Self.stateField }
      if let state = receiver.state { event.fields.append(.init(Self.stateField, .encodedJSON(state))) }
    }
    var bytes: [UInt8] = []
    append(event, to: &bytes, unfit)
    return bytes
  }

  /// No event has a field of this name, and no frame shows it as a whole.
  private static let stateField = String(statePrefix.dropLast())

  private func append(_ event: Event, to bytes: inout [UInt8], _ unfit: UnfitEvents?) {
    switch self {
    case .wholeEvent, .eventForOthers:
      event.appendJSON(to: &bytes, without: self == .eventForOthers ? DeliveryRule.exceptField : nil)
      for field in event.fields where !field.value.isJSON { unfit?.incomplete(event, field: field.name) }
    case .field(let name): bytes += value(of: name, in: event, unfit)?.jsonText ?? Array("null".utf8)
    case .text(let template):
      let text = template.filled { value(of: $0, in: event, unfit)?.plainText }
      JSONText.append(string: text, to: &bytes)
    case .constant(let value): value.append(to: &bytes)
    case .array(let elements):
      JSONText.append(list: elements, to: &bytes) { $0.append(event, to: &$1, unfit) }
    case .object(let members):
      JSONText.append(object: members, name: \.key, to: &bytes) { $0.value.append(event, to: &$1, unfit) }
    }
  }

  /// The value of a field, which is reported if JSON cannot carry it, or it is missing.
  private func value(of name: String, in event: Event, _ unfit: UnfitEvents?) -> EventValue? {
    if name.hasPrefix(Self.statePrefix) {
      // What a view has not answered yet is nothing unusual.
      return event[Self.stateField]?.value(at: String(name.dropFirst(Self.statePrefix.count)))
    }
    let value = event.value(of: name)
    if value?.isJSON != true { unfit?.incomplete(event, field: name) }
    return value
  }
}
