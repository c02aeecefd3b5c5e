import GatewayConfig
import HTTPTypes
import JSON

/// A JSON object in the body of a request: its members are asked for one by one, and what nobody asks for is an error.
struct RequestObject {
  /// The whole body.
  private let text: [UInt8]
  /// What the object is, for sentences: `the request`.
  let what: String
  private let members: [(key: String, value: Range<Int>)]
  private var known: [String] = []

  /// How many arrays and objects may stand inside each other in a body.
  static let depth = 64

  /// - Parameter range: where the object stands in the body; nil where it is all of it.
  init(_ text: [UInt8], _ range: Range<Int>? = nil, _ what: String) throws(PublishRefusal) {
    let range = range ?? 0..<text.count
    self.text = text
    self.what = what
    do throws(JSONFault) {
      let found = try unsafe JSONScanner.members(of: text.span.bytes.extracting(range), depth: Self.depth)
      members = found.map {
        ($0.key, (range.lowerBound + $0.value.lowerBound)..<(range.lowerBound + $0.value.upperBound))
      }
    } catch {
      throw PublishRefusal(.badRequest, "\(what) is \(error)")
    }
    var seen: Set<String> = []
    for member in members where !seen.insert(member.key).inserted {
      throw PublishRefusal(.badRequest, "\"\(Self.shown(member.key))\" appears twice in \(what)")
    }
  }

  var all: [(key: String, value: Range<Int>)] { members }

  /// Where the value of a member stands in the body; the member counts as known from now on.
  mutating func value(_ key: String) -> Range<Int>? {
    known.append(key)
    return members.first { $0.key == key }?.value
  }

  /// These members may be there.
  mutating func allow(_ keys: [String]) { known += keys }

  mutating func string(_ key: String) throws(PublishRefusal) -> String? {
    guard let range = value(key) else { return nil }
    guard case .string(let string) = json(range) else {
      throw PublishRefusal(.badRequest, "\"\(key)\" in \(what) must be a string")
    }
    return string
  }

  /// The elements of a list.
  mutating func list(_ key: String) throws(PublishRefusal) -> [Range<Int>]? {
    guard let range = value(key) else { return nil }
    guard text[range.lowerBound] == UInt8(ascii: "[") else {
      throw PublishRefusal(.badRequest, "\"\(key)\" in \(what) must be a list")
    }
    do throws(JSONFault) {
      return try unsafe JSONScanner.elements(of: text.span.bytes.extracting(range), depth: Self.depth)
        .map { (range.lowerBound + $0.lowerBound)..<(range.lowerBound + $0.upperBound) }
    } catch {
      throw PublishRefusal(.badRequest, "\(what) is \(error)")
    }
  }

  /// A value that was found here. All of the body was checked when it was taken apart, and numbers too.
  func json(_ range: Range<Int>) -> JSON {
    (try? unsafe JSON.parse(text.span.bytes.extracting(range), depth: Self.depth)) ?? .null
  }

  func bytes(_ range: Range<Int>) -> [UInt8] { Array(text[range]) }

  /// - Throws: where there is a member that nobody asked for.
  func finish() throws(PublishRefusal) {
    guard let stranger = members.first(where: { !known.contains($0.key) }) else { return }
    let name = Self.shown(stranger.key)
    var message = "unknown member \"\(name)\" in \(what)"
    if let hint = NearestName.hint(for: name, in: known) { message += ": \(hint)" }
    throw PublishRefusal(.badRequest, message)
  }

  /// Names as they are repeated to whoever sent them, who may have sent anything.
  static func shown(_ name: String) -> String {
    name.count > 60 ? "\(name.prefix(60))…" : name
  }
}
