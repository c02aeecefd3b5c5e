/// One extension of `Sec-WebSocket-Extensions`, in an offer or an answer (RFC 6455 section 9.1).
public struct ExtensionOffer: Sendable, Equatable {
  public var name: String
  /// In their order. A name may appear twice; the extension decides what that means.
  public var parameters: [Parameter]

  public struct Parameter: Sendable, Equatable {
    public var name: String
    /// Without quotes; nil if there is no "=".
    public var value: String?

    public init(_ name: String, _ value: String? = nil) {
      self.name = name
      self.value = value
    }
  }

  public init(_ name: String, _ parameters: [Parameter] = []) {
    self.name = name
    self.parameters = parameters
  }

  /// Reads all values of the field as one list, in the sender's order of preference.
  ///
  /// - Returns: nil if a value does not follow the grammar; the connection fails then. Empty elements are skipped, as in
  ///   every list of HTTP.
  public static func parse(_ values: [String]) -> [ExtensionOffer]? {
    var offers: [ExtensionOffer] = []
    for value in values {
      var reader = ExtensionReader(value)
      guard reader.readList(into: &offers) else { return nil }
    }
    return offers
  }
}

/// extension-list = 1#extension
/// extension = token *( ";" token [ "=" (token | quoted-string) ] )
private struct ExtensionReader {
  private let bytes: [UInt8]
  private var position = 0

  init(_ text: String) {
    bytes = Array(text.utf8)
  }

  mutating func readList(into offers: inout [ExtensionOffer]) -> Bool {
    repeat {
      skipSpace()
      if isAtEnd || isAt(",") { continue }
      guard let offer = readExtension() else { return false }
      offers.append(offer)
    } while take(",")
    return isAtEnd
  }

  private mutating func readExtension() -> ExtensionOffer? {
    guard let name = readToken() else { return nil }
    var offer = ExtensionOffer(name)
    while take(";") {
      guard let name = readToken() else { return nil }
      var parameter = ExtensionOffer.Parameter(name)
      if take("=") {
        guard let value = isAt("\"") ? readQuoted() : readToken() else { return nil }
        parameter.value = value
      }
      offer.parameters.append(parameter)
    }
    return offer
  }

  private mutating func readToken() -> String? {
    let start = position
    while !isAtEnd, Token.has(bytes[position]) { position += 1 }
    guard position > start else { return nil }
    defer { skipSpace() }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  /// The text in the quotes must be a token too.
  private mutating func readQuoted() -> String? {
    position += 1
    var value: [UInt8] = []
    while !isAtEnd, !isAt("\"") {
      if isAt("\\") { position += 1 }
      guard !isAtEnd, Token.has(bytes[position]) else { return nil }
      value.append(bytes[position])
      position += 1
    }
    guard take("\""), !value.isEmpty else { return nil }
    return String(decoding: value, as: UTF8.self)
  }

  private var isAtEnd: Bool { position == bytes.count }

  private func isAt(_ sign: Unicode.Scalar) -> Bool {
    !isAtEnd && bytes[position] == UInt8(ascii: sign)
  }

  /// Skips the sign and the white space after it.
  private mutating func take(_ sign: Unicode.Scalar) -> Bool {
    guard isAt(sign) else { return false }
    position += 1
    skipSpace()
    return true
  }

  private mutating func skipSpace() {
    while isAt(" ") || isAt("\t") { position += 1 }
  }
}
