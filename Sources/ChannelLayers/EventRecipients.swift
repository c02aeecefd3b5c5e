import Bytes
import JSON

/// Who of a group gets an event: everybody, unless it says something else.
///
/// An event carries it in two of its fields, so that it travels through every layer like the rest. No frame shows them.
package struct EventRecipients: Sendable, Equatable {
  /// The addresses of sessions that do not get it, in whatever group an address was given out. An address of another process leads to
  /// nobody here.
  package var except: [String] = []
  /// Only sessions of this user get it; nil if the user does not matter.
  package var user: String?
  /// Whether a list was too long to be read.
  private var isCut = false

  /// The most sessions that an event may leave out, counting all lists that name them. Each reactor looks for each of them.
  package static let mostAddresses = 100

  package init(except: [String] = [], user: String? = nil) {
    self.except = except
    self.user = user
  }

  package static let all = EventRecipients()

  package var areAll: Bool { except.isEmpty && user == nil && !isCut }

  /// Whether an event leaves out more sessions than it may. Nobody gets it then: those that are left out must not.
  package var areTooMany: Bool { isCut || except.count > Self.mostAddresses }

  /// Leaves out the sessions that a field of an event names, too; nothing for nil.
  package mutating func leaveOut(_ field: EventValue?) {
    guard let field else { return }
    guard let addresses = field.texts(most: Self.mostAddresses) else { return isCut = true }
    except += addresses
  }
}

extension Event {
  /// The field with the addresses of the sessions that do not get the event: one, or a list.
  package static let exceptMark = "sluice.except"
  /// The field with the user whose sessions alone get the event.
  package static let userMark = "sluice.user"

  /// The same event for some of a group: who is left out here is left out beside those that it leaves out already.
  package func addressed(to recipients: EventRecipients) -> Event {
    let own = self.recipients
    guard !recipients.areAll, !own.areTooMany else { return self }
    var event = self
    let except = own.except + recipients.except
    let user = recipients.user ?? own.user
    event.fields.removeAll { $0.name == Self.exceptMark || $0.name == Self.userMark }
    if !except.isEmpty {
      let value: JSON = except.count == 1 ? .string(except[0]) : .array(except.map(JSON.string))
      event.fields.append(.init(Self.exceptMark, .json(value)))
    }
    if let user { event.fields.append(.init(Self.userMark, .json(.string(user)))) }
    return event
  }

  /// Whether the event is for some of a group only. Asked for each event, so the lengths are compared first.
  var isAddressed: Bool {
    fields.contains { field in
      switch field.name.utf8.count {
      case 11: field.name == Self.userMark
      case 13: field.name == Self.exceptMark
      default: false
      }
    }
  }

  /// Who gets it, as its fields say.
  package var recipients: EventRecipients {
    var recipients = EventRecipients(user: self[Self.userMark]?.text)
    recipients.leaveOut(self[Self.exceptMark])
    return recipients
  }

  /// Whether a field is for the gateway alone, and stands in no frame.
  package static func isOwn(field name: String) -> Bool {
    name == ephemeralMark || name == exceptMark || name == userMark
  }
}

extension EventValue {
  /// A text, or a whole number as a text; nil for anything else.
  package var text: String? {
    switch self {
    case .text(let utf8): String(decoding: utf8, as: UTF8.self)
    case .json(.string(let text)): text
    case .json(.integer(let number)): "\(number)"
    case .json(.unsigned(let number)): "\(number)"
    case .encodedJSON(let text): (try? JSON.parse(text.rawBytes)).flatMap { EventValue.parsed($0).text }
    case .json, .bytes: nil
    }
  }

  /// A text, or the texts of a list; empty for anything else.
  ///
  /// - Parameter most: how many elements the list may have.
  /// - Returns: nil for a longer list. A long text is not even parsed.
  package func texts(most: Int) -> [String]? {
    switch self {
    case .json(.array(let elements)):
      elements.count <= most ? elements.compactMap { EventValue.parsed($0).text } : nil
    case .encodedJSON(let text):
      if text.count > most * Self.longestAddress {
        nil
      } else if let value = try? JSON.parse(text.rawBytes) {
        EventValue.parsed(value).texts(most: most)
      } else {
        []
      }
    case .json, .text, .bytes: text.map { [$0] } ?? []
    }
  }

  /// Bytes of one address in a list, with room for its quotes and escapes.
  private static let longestAddress = 512

  private static func parsed(_ value: JSON) -> EventValue { .json(value) }
}
