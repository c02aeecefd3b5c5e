import Bytes
import ChannelLayers
import Crypto
import GatewayConfig
import JSON
import Routing

/// The record of a session that has not ended, as it is kept in a layer.
struct OpenRecord: RecordContent {
  let record: ViewRecord

  func encoded() -> [UInt8] { JSON.object(record.members).bytes }
}

/// The record of a session whose view is still to be told the end.
struct EndedRecord: RecordContent {
  let record: ViewRecord
  let end: SessionEnd
  /// Of the question: another process asks the same one.
  let id: String

  func encoded() -> [UInt8] {
    let end: JSON = [
      "code": .number(Int(end.code)), "reason": .string(end.reason), "duration": .double(end.duration),
      "presumed": .bool(end.isPresumed), "id": .string(id),
    ]
    return JSON.object(record.members + [.init(key: "end", value: end)]).bytes
  }
}

/// Why a record cannot be used.
struct RecordFault: Error, CustomStringConvertible {
  var description: String

  init(_ description: String) {
    self.description = description
  }
}

extension ViewConfiguration {
  /// Names the route among those of other processes: they have the same one if a route of the same name asks at the same place in the same
  /// protocol, and they read the same records. What one view was told of is not reported to another one, and who cannot read what a newer
  /// Sluice has written leaves it alone.
  func recordKind(of route: String) -> String {
    let text = "\(route)\u{0}\(question.shownURL)\u{0}\(wire.rawValue)\u{0}\(ViewRecord.version)"
    return String(SHA256.hash(data: Array(text.utf8)).hexadecimal.prefix(32))
  }
}

extension ViewRecord {
  fileprivate static let version = 1

  fileprivate var members: [JSON.Member] {
    var members: [JSON.Member] = [
      .init(key: "version", value: .number(Self.version)), .init(key: "address", value: .string(address)),
      .init(key: "route", value: .string(route)),
      .init(key: "path", value: .string(path)), .init(key: "query", value: .string(query)),
      .init(
        key: "captures",
        value: .object(captures.all.map { .init(key: $0.name, value: .string($0.value)) })),
      .init(key: "host", value: .string(host)), .init(key: "client", value: .string(client)),
      .init(key: "secure", value: .bool(isSecure)),
      .init(key: "groups", value: .array(groups.map { .string($0) })),
      .init(key: "named", value: .array(named.map { .string($0) })),
      .init(key: "since", value: .double(since)),
    ]
    if let user { members.append(.init(key: "user", value: .string(user))) }
    if let claims { members.append(.init(key: "claims", value: claims)) }
    // As text, so that it comes back byte for byte.
    if let state {
      members.append(.init(key: "state", value: .string(String(decoding: state, as: UTF8.self))))
    }
    return members
  }
}

// MARK: - Reading

/// A record that another process has left, after every check: another program may have written it.
struct FoundRecord {
  let record: ViewRecord
  let end: SessionEnd
  /// Of the question, if its process knew the end.
  let id: String?

  /// The longest record that is read, and the longest text in it. Bytes.
  static let longest = 1 << 20
  private static let longestText = 64 << 10
  /// The most levels and values: those of claims and answers, which have 64 levels and 32 KiB at most, and of all groups and captures.
  private static let (deepest, most) = (72, 50_000)

  init(_ taken: TakenRecord, on route: SessionRoute) throws(RecordFault) {
    guard taken.content.count <= Self.longest else { throw RecordFault("it is too long") }
    let json: JSON
    do throws(JSONFault) {
      json = try JSON.parse(taken.content.rawBytes, depth: Self.deepest, values: Self.most)
    } catch {
      throw RecordFault("it is not JSON")
    }
    guard json["version"] == .number(ViewRecord.version) else { throw RecordFault("it has another version") }
    var record = try ViewRecord(json)
    guard record.address == taken.place.address, record.route == route.name else {
      throw RecordFault("it is about something else")
    }
    // A record leads to no other path of the server, and to no groups but those that the route names.
    guard let target = route.target(for: record.captures) else {
      throw RecordFault("its captures are not those of the route")
    }
    record.target = target
    record.named.removeAll { !route.mayName($0, for: record.captures) }
    self.record = record
    if let end = json["end"] {
      (self.end, id) = try Self.end(end)
    } else {
      let last = taken.lastSign ?? record.since
      end = SessionEnd(
        code: 1006, reason: "", duration: max(0, min(last - record.since, 1e9)), isPresumed: true)
      id = nil
    }
  }

  fileprivate static func json(_ bytes: [UInt8]) throws(RecordFault) -> JSON {
    do throws(JSONFault) {
      return try JSON.parse(bytes.rawBytes, depth: Self.deepest, values: Self.most)
    } catch {
      throw RecordFault("it is not JSON")
    }
  }

  private static func end(_ json: JSON) throws(RecordFault) -> (SessionEnd, id: String) {
    guard let code = json["code"]?.whole, let code = UInt16(exactly: code),
      (1000...4999).contains(code), let duration = json["duration"]?.time, duration >= 0,
      case .bool(let isPresumed)? = json["presumed"]
    else { throw RecordFault("its end is malformed") }
    let (reason, id) = (try text("reason", of: json, isPlain: false), try text("id", of: json))
    guard reason.utf8.count <= 123, (1...64).contains(id.utf8.count) else {
      throw RecordFault("its end is malformed")
    }
    return (SessionEnd(code: code, reason: reason, duration: duration, isPresumed: isPresumed), id)
  }

  static func groups(_ key: String, of json: JSON) throws(RecordFault) -> [String] {
    guard case .array(let groups)? = json[key], groups.count <= 10_000 else {
      throw RecordFault("its \(key) are malformed")
    }
    return try groups.map { (group) throws(RecordFault) in
      guard case .string(let name) = group, GroupName.isOpen(name) else {
        throw RecordFault("its \(key) are malformed")
      }
      return name
    }
  }

  /// - Parameter isPlain: whether it becomes a part of a request's head, so that it may have printable ASCII only, without spaces.
  static func text(_ key: String, of json: JSON, isPlain: Bool = true) throws(RecordFault) -> String {
    guard case .string(let text)? = json[key], text.utf8.count <= longestText,
      !isPlain || text.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
    else { throw RecordFault("its \(key) is malformed") }
    return text
  }
}

extension ViewRecord {
  /// Reads what `OpenRecord` has written; without a target.
  static func read(_ bytes: [UInt8]) throws -> ViewRecord { try ViewRecord(FoundRecord.json(bytes)) }

  fileprivate init(_ json: JSON) throws(RecordFault) {
    guard case .bool(let isSecure)? = json["secure"], let since = json["since"]?.time,
      case .object(let captures)? = json["captures"], captures.count <= 1000
    else { throw RecordFault("a member is missing or malformed") }
    self.init(
      address: try FoundRecord.text("address", of: json),
      route: try FoundRecord.text("route", of: json, isPlain: false),
      target: "",
      path: try FoundRecord.text("path", of: json, isPlain: false),
      query: try FoundRecord.text("query", of: json, isPlain: false), captures: Captures(),
      host: try FoundRecord.text("host", of: json), client: try FoundRecord.text("client", of: json),
      isSecure: isSecure, user: nil, claims: json["claims"], groups: [], since: since)
    self.captures = Captures(
      try captures.map { (member) throws(RecordFault) in
        guard case .string(let value) = member.value else { throw RecordFault("its captures are malformed") }
        return Captures.Capture(name: member.key, value: value)
      })
    self.groups = try FoundRecord.groups("groups", of: json)
    named = try FoundRecord.groups("named", of: json)
    if json["user"] != nil { user = try FoundRecord.text("user", of: json, isPlain: false) }
    if json["state"] != nil {
      let text = try FoundRecord.text("state", of: json, isPlain: false)
      let bytes = Array(text.utf8)
      guard bytes.count <= Self.longestState, (try? JSON.parse(bytes.rawBytes)) != nil else {
        throw RecordFault("its state is malformed")
      }
      state = bytes
    }
  }
}

extension SessionRoute {
  /// Where the questions about a session with these captures go: path and query. Nil if they are not those that the URL needs.
  func target(for captures: Captures) -> String? {
    configuration.consumer.view.flatMap { $0.question.target(for: captures, long: $0.longCaptures) }
  }

  /// Whether it names the group for some client with these captures.
  fileprivate func mayName(_ group: String, for captures: Captures) -> Bool {
    groups?.templates.contains { template in
      let parts = template.parts.map { if case .identity = $0 { GroupPattern.Part.anything } else { $0 } }
      return GroupPattern(parts: parts).matches(group, captures: captures)
    } == true
  }
}

extension JSON {
  fileprivate var whole: Int64? {
    if case .integer(let number) = self { number } else { nil }
  }

  fileprivate var time: Double? {
    switch self {
    case .double(let number) where number.isFinite && abs(number) < 1e12: number
    case .integer(let number) where abs(number) < 1_000_000_000_000: Double(number)
    default: nil
    }
  }
}
