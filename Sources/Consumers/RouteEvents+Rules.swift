import ChannelLayers
import GatewayConfig

/// `deliver:` of a route, and what it has to do with messages of its clients.
extension RouteEvents {
  /// Nil for a route without `receive`.
  func receiving(by configuration: GroupConfiguration) -> Receiving? {
    let types = Set(rules.keys.filter(isForOthers))
    return configuration.receive.map { Receiving($0, typesForOthers: types) }
  }

  /// Whether events of the type are not for who has sent them.
  ///
  /// - Parameter handler: the type, in the form in which it is looked up.
  func isForOthers(_ handler: String) -> Bool { rules[handler]?.recipients == .others }

  /// Whether some event is for some of the route's clients only.
  var selects: Bool { rules.values.contains { $0.recipients != .all } }

  /// Who gets the event, by the rules and by its own fields; nil for nobody, which is reported.
  func recipients(of event: Event, own: EventRecipients) -> EventRecipients? {
    var recipients = own
    switch rules.isEmpty ? nil : rules[event.handler]?.recipients {
    case .others?: recipients.leaveOut(event[DeliveryRule.exceptField])
    case .user(let template)?:
      let user = template.filled { recipient(of: $0, in: event) }
      // Nobody is called nothing: neither where the field is missing, nor where the event itself is for another user.
      recipients.user = recipients.user.map { $0 == user ? user : "" } ?? user
    case .all?, nil: break
    }
    switch recipients.fault {
    case nil: return recipients
    case .tooMany?:
      unfit?.dropped(
        event, "it leaves out more than \(EventRecipients.mostAddresses) sessions", of: "recipients",
        hint: "send it to a group of its own, without those sessions")
    case .unreadable?:
      unfit?.dropped(
        event,
        "nobody gets it: \"\(Event.userMark)\", or who is left out, is no text, no whole number, and no list of them",
        of: "recipients", hint: "leave the field out where the event is for everybody")
    }
    return nil
  }

  /// The same result, or the end of who has got the event.
  func closing(_ event: Event, _ rendering: Rendering) -> Rendering {
    guard closes, rendering == .frames, let closing = rules[event.handler]?.closing else { return rendering }
    return .close(code: closing.code, reason: closing.reason)
  }

  /// A field that says who gets the event: where it is missing nobody does, which is reported.
  private func recipient(of place: String, in event: Event) -> String {
    let value = event.value(of: place)
    guard value?.isJSON == true else {
      unfit?.dropped(
        event, "nobody gets it: it has no field \"\(place)\", which says for whom it is", of: "recipients",
        hint: "give the event the field, or change deliver: of the route")
      return ""
    }
    return value?.plainText ?? ""
  }

  /// A field of the event as text, which is reported where it is missing.
  func text(of place: String, in event: Event) -> String? {
    let value = event.value(of: place)
    if value?.isJSON != true { unfit?.incomplete(event, field: place) }
    return value?.plainText
  }
}
