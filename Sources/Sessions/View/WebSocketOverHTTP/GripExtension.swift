import WebSocketCore

/// One extension of `Sec-WebSocket-Extensions`, as back ends that speak GRIP write it: a value in quotes may hold any text, and be
/// empty, which RFC 6455 section 9.1 does not allow.
struct GripExtension: Sendable, Equatable {
  var name: String
  /// `message-prefix`; nil without it.
  var prefix: String?

  /// - Returns: nil if the value does not follow the grammar.
  static func all(in value: String) -> [GripExtension]? {
    var found: [GripExtension] = []
    var reader = FieldReader(value)
    reader.skipSpace()
    repeat {
      guard let name = reader.token() else { return nil }
      var offer = GripExtension(name: name)
      while reader.take(";") {
        guard let parameter = reader.token() else { return nil }
        var value: String?
        if reader.take("=") {
          value = reader.quoted() ?? reader.token()
          guard value != nil else { return nil }
        }
        if parameter.lowercased() == "message-prefix" { offer.prefix = value ?? "" }
      }
      found.append(offer)
    } while reader.take(",")
    return reader.isAtEnd ? found : nil
  }
}
