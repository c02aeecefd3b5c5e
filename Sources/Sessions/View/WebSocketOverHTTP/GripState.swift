import Bytes
import JSON
import WebSocketCore

/// What a session keeps for a back end that speaks `websocket-over-http`, as the opaque value of its view: the `Meta-*` fields, and
/// whether its messages have a prefix.
///
/// As a value it is a JSON object of texts, so that `{state.NAME}` stands for a field in templates. Names with a colon, which no field can
/// have, are Sluice's own.
struct GripState: Sendable, Equatable {
  /// In the order in which they were set, the names in lower case and without `Meta-`.
  private(set) var meta: [HeaderField] = []
  /// What stands before the messages for the client; nil if all messages are for the client, as they are.
  var prefix: String?

  private static let nameOfPrefix = ":message-prefix"

  init() {}

  /// Passes over what it has not written itself, as another protocol may have before a reload: such a text may have line breaks, and would
  /// be other fields of a signed question.
  init(_ state: [UInt8]?) {
    guard let state, case .object(let members)? = try? JSON.parse(state.rawBytes) else { return }
    for member in members {
      guard let value = member.value.string else { continue }
      if member.key == Self.nameOfPrefix {
        prefix = value
      } else if Self.isName(member.key) {
        set(member.key, to: value)
      }
    }
  }

  /// Nil if there is nothing to keep.
  var json: [UInt8]? {
    var members = meta.map { JSON.Member(key: $0.name, value: .string($0.value)) }
    if let prefix { members.append(.init(key: Self.nameOfPrefix, value: .string(prefix))) }
    return members.isEmpty ? nil : JSON.object(members).bytes
  }

  /// - Parameters:
  ///   - name: in lower case.
  ///   - value: empty to remove it. One that no field can have is passed over.
  mutating func set(_ name: String, to value: String) {
    guard value.utf8.allSatisfy(\.isInFieldValue) else { return }
    let place = meta.firstIndex { $0.name == name }
    switch (place, value.isEmpty) {
    case (let place?, true): meta.remove(at: place)
    case (let place?, false): meta[place].value = value
    case (nil, false): meta.append(HeaderField(name: name, value: value))
    case (nil, true): break
    }
  }

  static func isName(_ name: String) -> Bool { !name.isEmpty && name.utf8.allSatisfy(Token.has) }
}
