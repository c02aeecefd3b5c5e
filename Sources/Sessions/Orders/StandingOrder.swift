package import Bytes
import JSON

/// An order that holds for a time: until then a user may not come in, or may not send.
package struct StandingOrder: Sendable, Equatable {
  package enum Kind: String, Sendable, CaseIterable {
    /// Sessions are closed, and handshakes refused.
    case disconnect
    /// Sessions stay, and cannot send.
    case mute
  }

  /// What the order is about. There is one order for each subject.
  package struct Subject: Sendable, Hashable {
    package var kind: Kind
    /// Nil for everybody.
    package var user: ExactText?
    /// Nil for every group. Never nil together with `user`.
    package var group: String?

    package init(_ kind: Kind, user: ExactText?, group: String?) {
      self.kind = kind
      self.user = user
      self.group = group
    }
  }

  package var subject: Subject
  /// Seconds since 1970.
  package var until: Double
  /// For the client; at most 123 bytes.
  package var reason: String
  /// When it was given, in seconds since 1970; nil if that is not known. It makes no difference to what the order says.
  package var given: Double?

  /// How long an order may hold.
  package static let times = Duration.seconds(1)...Duration.seconds(365 * 86400)

  package init(_ subject: Subject, until: Double, reason: String) {
    self.subject = subject
    self.until = until
    self.reason = reason
  }

  package static func == (left: StandingOrder, right: StandingOrder) -> Bool {
    left.subject == right.subject && left.until == right.until && left.reason == right.reason
  }
}

// MARK: - As text, for a channel layer

extension StandingOrder.Subject {
  /// `["disconnect","5",null]`
  package var text: String {
    let parts: JSON = [
      .string(kind.rawValue), user.map { .string($0.text) } ?? .null, group.map(JSON.string) ?? .null,
    ]
    return parts.text
  }

  /// - Returns: nil for what `text` would not write.
  package init?(_ text: String) {
    guard case .array(let parts)? = try? JSON.parse(Array(text.utf8).rawBytes, strings: .compared),
      parts.count == 3, let kind = parts[0].string.flatMap(StandingOrder.Kind.init(rawValue:)),
      parts[1...].contains(where: { $0.string != nil }),
      parts[1...].allSatisfy({ $0 == .null || $0.string != nil })
    else { return nil }
    self.init(kind, user: parts[1].string.map { ExactText(text: $0) }, group: parts[2].string)
    // It is the key of the order, by which it is lifted.
    guard self.text.utf8.elementsEqual(text.utf8) else { return nil }
  }
}

extension StandingOrder {
  /// `[1764418000.5,"be nice",1764417000.5]`: what is kept under the subject. The last part is missing if it is not known.
  package var text: String {
    let parts: [JSON] = [.double(until), .string(reason)] + (given.map { [.double($0)] } ?? [])
    return JSON.array(parts).text
  }

  /// The end of the year 9999. Whoever writes into a channel layer could write any number, and times are computed with.
  private static let latest = 253_402_300_800.0

  /// - Parameter text: as `text` writes it, or with other spaces and numbers.
  /// - Returns: nil for anything else.
  package init?(_ subject: Subject, _ text: String) {
    guard case .array(let parts)? = try? JSON.parse(Array(text.utf8).rawBytes, strings: .compared),
      (2...3).contains(parts.count), let until = parts[0].seconds, abs(until) < Self.latest,
      let reason = parts[1].string, reason.utf8.count <= 123
    else { return nil }
    self.init(subject, until: until, reason: reason)
    guard parts.count == 3 else { return }
    guard let given = parts[2].seconds, abs(given) < Self.latest else { return nil }
    self.given = given
  }
}

extension JSON {
  /// The value of a number, exact enough for a time; nil for anything else.
  package var seconds: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .unsigned(let value): Double(value)
    case .double(let value) where value.isFinite: value
    default: nil
    }
  }
}
