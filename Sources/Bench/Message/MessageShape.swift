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
  private var measure = Measure.message

  /// What was said to have a size.
  private enum Measure {
    case message
    /// What takes the place of the body.
    case text
  }

  package init(kind: MessageKind = .text, size: Int = 64, template: String? = nil) {
    self.kind = kind
    self.size = size
    self.template = template
  }

  /// - Parameter textSize: bytes of what takes the place of the body.
  package init(textSize: Int, template: String) {
    self.init(size: textSize + template.utf8.count - Self.place.utf8.count, template: template)
    measure = .text
  }

  /// Bytes of what takes the place of the body.
  package var textSize: Int { size - (template.map { $0.utf8.count - Self.place.utf8.count } ?? 0) }

  /// Why such messages cannot be made; nil if they can.
  ///
  /// - Parameter isStamped: whether each message needs a stamp in its body.
  package func fault(isStamped: Bool) -> String? {
    if let template, template.split(separator: Self.place, omittingEmptySubsequences: false).count != 2 {
      return "the template must contain \(Self.place) exactly once"
    }
    let least = isStamped ? Stamp.length : 0
    guard textSize < least else { return nil }
    switch (measure, template) {
    case (.text, _), (.message, nil):
      return "--size must be at least \(least) bytes, for the stamp in each message"
    case (.message, _?):
      return
        "--size must be at least \(size - textSize + least) bytes, for the template\(isStamped ? " and the stamp" : "")"
    }
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
