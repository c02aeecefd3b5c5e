import Bytes
package import ChannelLayers
import GatewayConfig
import JSON
import Synchronization

/// Reports events that a route does not deliver, or delivers incompletely, each kind once.
///
/// One for each route, shared by its reactors. Reported kinds are remembered in a table of fixed size, without a lock: an event
/// that is dropped again costs one hash and one or two loads. Publishers may invent any number of types, so after `most` kinds
/// nothing more is reported, which a last report says.
package final class UnfitEvents: Sendable {
  /// The report about one kind of event, for the operator.
  package struct Report: Sendable, Equatable {
    package enum Fate: Sendable {
      /// Clients of the route get nothing of the event.
      case dropped
      /// Clients of the route get the event with `null`, or with nothing inside a text, in place of a field.
      case incomplete
      /// No further kinds are reported.
      case last
    }

    package var fate: Fate
    /// The type of the event, as it was written.
    package var type: String
    /// What was found, and what was expected.
    package var reason: String
    /// What to do; nil if there is no suggestion.
    package var hint: String?
  }

  /// How many kinds of events are reported for one route.
  package static let most = 32
  /// Twice as many places as kinds, so that a free place is near.
  private static let places = 64

  private let known: [String]
  private let report: @Sendable (Report) -> Void
  /// Hashes of the reported kinds; zero for a free place. Swift seeds its hashes for each process, so publishers cannot choose
  /// them.
  private let reported = InlineArray<64, Atomic<UInt64>> { (_: Int) in Atomic(0) }
  private let count = Atomic<Int>(0)

  /// - Parameters:
  ///   - known: the types that the route handles.
  ///   - report: called on a reactor, and must not wait.
  package init(known: [String], report: @escaping @Sendable (Report) -> Void) {
    self.known = known
    self.report = report
  }

  /// Reports an event of a type that the route does not handle.
  package func unknown(_ event: Event) {
    guard !Self.isOwn(event), isNew(event.type, "") else { return }
    let isForUs = HandlerName.isReserved(event.type) && !known.contains { HandlerName.isReserved($0) }
    report(
      Report(
        fate: .dropped, type: event.type, reason: "the route has no event of this type",
        hint: isForUs
          ? "send control events to the group \"sluice.control\""
          : NearestName.hint(for: event.type, in: known)))
  }

  /// Whether the gateway itself has made the event, for its own sessions; not every route handles those.
  ///
  /// Another program can send events of the same types through Redis. Those contain no encoded JSON, and have no position.
  private static func isOwn(_ event: Event) -> Bool {
    switch event.type {
    case Event.presenceType: if case .encodedJSON = event[Event.presenceField] { true } else { false }
    case Event.historyType, Event.unreadableType: event.position != nil
    default: false
    }
  }

  /// Reports an event of a known type with a missing field, or one of the wrong type.
  ///
  /// - Parameter kind: of the mistake; each kind is reported once.
  package func dropped(
    _ event: Event, _ reason: @autoclosure () -> String, of kind: String? = nil, hint: String? = nil
  ) {
    guard isNew(event.type, kind.map { "\0dropped \($0)" } ?? "\0dropped") else { return }
    report(Report(fate: .dropped, type: event.type, reason: reason(), hint: hint))
  }

  /// Reports a field of a template that the event does not have, or that JSON cannot carry.
  func incomplete(_ event: Event, field name: String) {
    guard isNew(event.type, name) else { return }
    guard event.value(of: name) == nil else {
      return report(
        Report(
          fate: .incomplete, type: event.type,
          reason: "the field \"\(name)\" holds bytes, which JSON cannot carry",
          hint: "send them as base64 text"))
    }
    let fields = event.fields.map(\.name)
    let outer = name.prefix { $0 != "." }
    guard outer.utf8.count < name.utf8.count, let value = event[String(outer)] else {
      return report(
        Report(
          fate: .incomplete, type: event.type, reason: "the event has no field \"\(name)\"",
          hint: NearestName.hint(for: name, in: fields)))
    }
    let inner = String(name.dropFirst(outer.utf8.count + 1))
    report(
      Report(
        fate: .incomplete, type: event.type, reason: "the field \"\(outer)\" has no \"\(inner)\"",
        hint: NearestName.hint(for: inner, in: value.memberNames)))
  }

  /// Whether this kind was not reported before, and can still be reported.
  private func isNew(_ type: String, _ what: String) -> Bool {
    var hasher = Hasher()
    hasher.combine(type)
    hasher.combine(what)
    let hash = UInt64(truncatingIfNeeded: Int64(hasher.finalize())) | 1
    for step in 0..<Self.places {
      let place = Int((hash >> 1) &+ UInt64(step)) & (Self.places - 1)
      var found = reported[place].load(ordering: .relaxed)
      if found == 0 {
        guard count.load(ordering: .relaxed) < Self.most else { return false }
        found = reported[place].compareExchange(expected: 0, desired: hash, ordering: .relaxed).original
        if found == 0 { return isWithinBound(type) }
      }
      if found == hash { return false }
    }
    return false
  }

  private func isWithinBound(_ type: String) -> Bool {
    let number = count.add(1, ordering: .relaxed).newValue
    guard number >= Self.most else { return true }
    if number == Self.most {
      report(
        Report(
          fate: .last, type: type,
          reason: "\(Self.most) kinds of events did not fit this route; no more are reported"))
    }
    return false
  }
}

extension EventValue {
  /// The names of an object's members; empty for anything else.
  fileprivate var memberNames: [String] {
    switch self {
    case .json(.object(let members)): members.map(\.key)
    case .encodedJSON(let text): ((try? JSONScanner.members(of: text.rawBytes)) ?? []).map(\.key)
    case .json, .text, .bytes: []
    }
  }
}
