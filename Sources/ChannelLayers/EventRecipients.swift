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
  /// Why a field could not be read.
  private var unread: Fault?

  /// Why nobody gets an event: those that it leaves out must not, nor anybody but the user that it names.
  package enum Fault: Error, Equatable {
    /// It leaves out more sessions than it may.
    case tooMany
    /// A field does not say who: it is no text, no whole number, and no list of them.
    case unreadable
  }

  /// The most sessions that an event may leave out, counting all lists that name them. Each reactor looks for each of them.
  package static let mostAddresses = 100

  package init(except: [String] = [], user: String? = nil) {
    self.except = except
    self.user = user
  }

  package static let all = EventRecipients()

  package var areAll: Bool { except.isEmpty && user == nil && unread == nil }

  /// Nil unless nobody gets it.
  package var fault: Fault? { except.count > Self.mostAddresses ? .tooMany : unread }

  /// Leaves out the sessions that a field of an event names, too; nothing for nil.
  package mutating func leaveOut(_ field: EventValue?) {
    guard let field else { return }
    do throws(Fault) {
      except += try field.addresses(most: Self.mostAddresses)
    } catch {
      unread = error
    }
  }

  /// Only the user that a field of the event names gets it.
  fileprivate mutating func narrow(to field: EventValue?) {
    guard let field else { return }
    if let name = field.text { user = name } else { unread = .unreadable }
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
    guard !recipients.areAll, own.fault == nil else { return self }
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
    var recipients = EventRecipients()
    recipients.narrow(to: self[Self.userMark])
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

  /// A text, or the texts of a list; none for `null`.
  ///
  /// - Parameter most: how many elements the list may have. A text that is too long for that is not even parsed.
  package func addresses(most: Int) throws(EventRecipients.Fault) -> [String] {
    switch self {
    case .json(.null): return []
    case .json(.array(let elements)):
      guard elements.count <= most else { throw .tooMany }
      return try elements.filter { $0 != .null }.map { element throws(EventRecipients.Fault) in
        guard let text = EventValue.parsed(element).text else { throw .unreadable }
        return text
      }
    case .encodedJSON(let text):
      guard text.count <= most * Self.longestAddress else { throw .tooMany }
      guard let value = try? JSON.parse(text.rawBytes) else { throw .unreadable }
      return try EventValue.parsed(value).addresses(most: most)
    case .json, .text, .bytes:
      guard let text else { throw .unreadable }
      return [text]
    }
  }

  /// Bytes of one address in a list, with room for its quotes and escapes.
  private static let longestAddress = 512

  private static func parsed(_ value: JSON) -> EventValue { .json(value) }
}
