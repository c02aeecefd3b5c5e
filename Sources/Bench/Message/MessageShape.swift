package import WebSocketCore

/// The form of a load's messages.
package struct MessageShape: Sendable, Equatable {
  /// The placeholder for the body in a template.
  package static let place = "{body}"
  /// The template for chat routes.
  package static let json = #"{"message": "{body}"}"#

  /// The template for requests of a `publish` route.
  ///
  /// - Parameter group: its name, which needs no escape.
  package static func publishing(to group: String) -> String { #"{"group": "\#(group)", "text": "{body}"}"# }

  package var kind: MessageKind
  /// Bytes of the payload, including the template.
  package var size: Int
  /// Text that contains `{body}`; nil for the body alone.
  package var template: String?

  package init(kind: MessageKind = .text, size: Int = 64, template: String? = nil) {
    self.kind = kind
    self.size = size
    self.template = template
  }

  /// - Parameter textSize: bytes of what takes the place of the body.
  package init(textSize: Int, template: String) {
    self.init(size: textSize + template.utf8.count - Self.place.utf8.count, template: template)
  }

  /// Bytes of what takes the place of the body.
  package var textSize: Int { size - (template.map { $0.utf8.count - Self.place.utf8.count } ?? 0) }

  /// Why such messages cannot be made; nil if they can.
  ///
  /// - Parameter isStamped: whether each message needs a stamp in its body.
  package func fault(isStamped: Bool) -> String? {
    guard let template else {
      return isStamped && size < Stamp.length
        ? "the size must be at least \(Stamp.length) bytes, for the stamp in each message" : nil
    }
    guard template.split(separator: Self.place, omittingEmptySubsequences: false).count == 2 else {
      return "the template must contain \(Self.place) exactly once"
    }
    let fixed = template.utf8.count - Self.place.utf8.count
    let least = fixed + (isStamped ? Stamp.length : 0)
    return size < least
      ? "the size must be at least \(least) bytes, for the template\(isStamped ? " and the stamp" : "")" : nil
  }

  /// The payload, and the offset in it for a stamp; nil if the body is too short for one.
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
