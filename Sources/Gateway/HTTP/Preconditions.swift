import HTTPTypes
import Sessions

/// The conditions of a request for a file (RFC 9110 section 13), except `If-Range`.
struct Preconditions {
  enum Outcome {
    case met
    /// 304: the client has the current file already.
    case notModified
    /// 412: the file is not the one that the client expects.
    case failed
  }

  private let match: [String]
  private let unmodifiedSince: String?
  private let noneMatch: [String]
  private let modifiedSince: String?

  private static let names: [HTTPField.Name] = [.ifMatch, .ifNoneMatch, .ifModifiedSince, .ifUnmodifiedSince]

  /// Takes the conditions out of the fields.
  ///
  /// - Returns: nil if there are none.
  init?(takingFrom fields: inout HTTPFields) {
    guard Self.names.contains(where: { fields[$0] != nil }) else { return nil }
    match = fields[values: .ifMatch].flatMap(Self.members)
    noneMatch = fields[values: .ifNoneMatch].flatMap(Self.members)
    unmodifiedSince = fields[.ifUnmodifiedSince]
    modifiedSince = fields[.ifModifiedSince]
    for name in Self.names { fields[name] = nil }
  }

  /// The outcome for GET and HEAD, in the order of section 13.2.2.
  ///
  /// - Parameters:
  ///   - eTag: the entity tag of the file.
  ///   - lastModified: the value of `Last-Modified`.
  func outcome(eTag: String?, lastModified: String?) -> Outcome {
    let modified = lastModified.flatMap(HTTPDate.seconds(of:))
    if !match.isEmpty {
      // Strong comparison: a weak tag does not identify exact bytes.
      guard match.contains(where: { $0 == "*" || $0 == eTag && !$0.hasPrefix("W/") }) else { return .failed }
    } else if let since = unmodifiedSince.flatMap(HTTPDate.seconds(of:)), let modified, modified > since {
      return .failed
    }
    if !noneMatch.isEmpty {
      let known = eTag.map(Self.opaque)
      return noneMatch.contains { $0 == "*" || Self.opaque($0) == known } ? .notModified : .met
    }
    if let since = modifiedSince.flatMap(HTTPDate.seconds(of:)), let modified, modified <= since {
      return .notModified
    }
    return .met
  }

  /// The tag without the mark for weak tags, which weak comparison ignores (section 8.8.3.2).
  private static func opaque(_ tag: String) -> String { tag.hasPrefix("W/") ? String(tag.dropFirst(2)) : tag }

  /// Entity tags, or `*`. A tag may contain commas inside its quotation marks.
  private static func members(_ value: String) -> [String] {
    var members: [String] = []
    var member = ""
    var isQuoted = false
    for character in value.unicodeScalars {
      if character == "\"" { isQuoted.toggle() }
      if character == ",", !isQuoted {
        members.append(member)
        member = ""
      } else if isQuoted || character != " " && character != "\t" {
        member.unicodeScalars.append(character)
      }
    }
    return (members + [member]).filter { !$0.isEmpty }
  }
}
