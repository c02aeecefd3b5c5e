import Bytes
package import JSON

/// A JSON object in the body of a request. Its members are asked for one by one, and `check` refuses any other member.
package struct RequestObject {
  /// The whole body.
  private let text: [UInt8]
  /// A name for the object, for sentences: `the request`.
  package let what: String
  package let members: [(key: String, value: Range<Int>)]

  /// The most levels of nested arrays and objects in a body.
  package static let depth = 64

  /// - Parameter range: the range of the object in the body; nil for the whole body.
  package init(_ text: [UInt8], _ range: Range<Int>? = nil, what: String) throws(PublishRefusal) {
    let range = range ?? 0..<text.count
    self.text = text
    self.what = what
    do throws(JSONFault) {
      let found = try JSONScanner.members(of: text.rawBytes.extracting(range), depth: Self.depth)
      let start = range.lowerBound
      members =
        start == 0
        ? found : found.map { ($0.key, (start + $0.value.lowerBound)..<(start + $0.value.upperBound)) }
    } catch {
      throw PublishRefusal(malformed: "\(what) is \(error)")
    }
    if let name = repeatedName {
      throw PublishRefusal(malformed: "\"\(Self.shown(name))\" appears twice in \(what)")
    }
  }

  /// The first name that appeared before; nil if there is none.
  private var repeatedName: String? {
    // Most objects have a few members, for which a set takes longer than all comparisons.
    guard members.count > 8 else {
      return members.indices.first { index in members[..<index].contains { $0.key == members[index].key } }
        .map { members[$0].key }
    }
    var seen: Set<String> = []
    return members.first { !seen.insert($0.key).inserted }?.key
  }

  /// The range of a member's value in the body.
  package func value(_ key: String) -> Range<Int>? {
    members.first { $0.key.utf8.count == key.utf8.count && $0.key == key }?.value
  }

  package func string(_ key: String) throws(PublishRefusal) -> String? {
    guard let range = value(key) else { return nil }
    guard let string = JSONScanner.string(text.rawBytes.extracting(range)) else {
      throw PublishRefusal(malformed: "\"\(key)\" in \(what) must be a string")
    }
    return string
  }

  /// The elements of a list.
  package func list(_ key: String) throws(PublishRefusal) -> [Range<Int>]? {
    guard let range = value(key) else { return nil }
    guard text[range.lowerBound] == UInt8(ascii: "[") else {
      throw PublishRefusal(malformed: "\"\(key)\" in \(what) must be a list")
    }
    do throws(JSONFault) {
      return try JSONScanner.elements(of: text.rawBytes.extracting(range), depth: Self.depth)
        .map { (range.lowerBound + $0.lowerBound)..<(range.lowerBound + $0.upperBound) }
    } catch {
      throw PublishRefusal(malformed: "\(what) is \(error)")
    }
  }

  /// The value of a range that was found here. The whole body, including its numbers, was checked when it was scanned.
  package func json(_ range: Range<Int>) -> JSON {
    (try? JSON.parse(text.rawBytes.extracting(range), depth: Self.depth)) ?? .null
  }

  package func bytes(_ range: Range<Int>) -> [UInt8] { Array(text[range]) }

  /// The object in a range of the body.
  package func object(_ range: Range<Int>?, what: String) throws(PublishRefusal) -> RequestObject {
    try RequestObject(text, range, what: what)
  }

  /// - Parameter known: the names that a member can have.
  /// - Throws: if there is a member with another name.
  package func check(_ known: [String]) throws(PublishRefusal) {
    let unknown = members.first { member in
      !known.contains { $0.utf8.count == member.key.utf8.count && $0 == member.key }
    }
    guard let unknown else { return }
    throw PublishRefusal(unknown: "member", unknown.key, in: what, known: known)
  }

  /// A name in the form in which it is repeated to the client, who may have sent anything.
  package static func shown(_ name: String) -> String {
    name.count > 60 ? "\(name.prefix(60))…" : name
  }
}
