package import WebSocketCore

/// What a load's messages look like.
package struct MessageShape: Sendable, Equatable {
  /// What stands for the body in a template.
  package static let place = "{body}"
  /// What chat routes take.
  package static let json = #"{"message": "{body}"}"#

  package var kind: MessageKind
  /// Bytes of the payload, the template's own included.
  package var size: Int
  /// Text with `{body}` in it; nil is the body alone.
  package var template: String?

  package init(kind: MessageKind = .text, size: Int = 64, template: String? = nil) {
    self.kind = kind
    self.size = size
    self.template = template
  }

  /// Why no messages can be made of it; nil where they can.
  ///
  /// - Parameter isStamped: whether each message needs a stamp in its body.
  package func fault(isStamped: Bool) -> String? {
    guard let template else {
      return isStamped && size < Stamp.length ? "the size is at least \(Stamp.length), for a stamp" : nil
    }
    guard template.split(separator: Self.place, omittingEmptySubsequences: false).count == 2 else {
      return "the template needs \(Self.place) exactly once"
    }
    let fixed = template.utf8.count - Self.place.utf8.count
    let least = fixed + (isStamped ? Stamp.length : 0)
    return size < least
      ? "the size is at least \(least), for the template\(isStamped ? " and a stamp" : "")" : nil
  }

  /// The payload, and where in it a stamp may stand; nil where the body is too short for one.
  ///
  /// - Precondition: there is no `fault`.
  var payload: (bytes: [UInt8], stampPlace: Int?) {
    let parts = (template ?? Self.place).split(separator: Self.place, omittingEmptySubsequences: false)
    let before = Array(parts[0].utf8)
    let after = Array(parts[1].utf8)
    let length = size - before.count - after.count
    let body = (0..<length).map { UInt8(ascii: "a") + UInt8($0 % 26) }
    return (before + body + after, length >= Stamp.length ? before.count : nil)
  }
}
