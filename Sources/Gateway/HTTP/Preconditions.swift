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
  private let noneMatch: [String]
  /// Seconds since 1970; nil for what is no date.
  private let unmodifiedSince: Int?
  private let modifiedSince: Int?

  init(_ fields: HTTPFields) {
    match = fields[values: .ifMatch].flatMap(Self.members)
    noneMatch = fields[values: .ifNoneMatch].flatMap(Self.members)
    unmodifiedSince = fields[.ifUnmodifiedSince].flatMap(HTTPDate.seconds(of:))
    modifiedSince = fields[.ifModifiedSince].flatMap(HTTPDate.seconds(of:))
  }

  /// The outcome for GET and HEAD, in the order of section 13.2.2.
  ///
  /// - Parameter version: nil for a folder, which has no validators.
  func outcome(for version: FileVersion?) -> Outcome {
    if !match.isEmpty {
      // Strong comparison: a weak tag does not identify exact bytes.
      guard match.contains(where: { $0 == "*" || $0 == version?.eTag }) else { return .failed }
    } else if let unmodifiedSince, let version, version.modified > unmodifiedSince {
      return .failed
    }
    if !noneMatch.isEmpty {
      return noneMatch.contains { $0 == "*" || Self.opaque($0) == version?.eTag } ? .notModified : .met
    }
    if let modifiedSince, let version, version.modified <= modifiedSince { return .notModified }
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
