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
      var reader = FieldReader(value)
      repeat {
        reader.skipSpace()
        if reader.isAtEnd || reader.isAt(",") { continue }
        guard let offer = ExtensionOffer(&reader) else { return nil }
        offers.append(offer)
      } while reader.take(",")
      guard reader.isAtEnd else { return nil }
    }
    return offers
  }

  /// extension = token *( ";" token [ "=" (token | quoted-string) ] ), and the text in the quotes must be a token too.
  private init?(_ reader: inout FieldReader) {
    guard let name = reader.token() else { return nil }
    self.init(name)
    while reader.take(";") {
      guard let name = reader.token() else { return nil }
      var parameter = Parameter(name)
      if reader.take("=") {
        guard let value = reader.token() ?? reader.quoted(), !value.isEmpty, value.utf8.allSatisfy(Token.has)
        else { return nil }
        parameter.value = value
      }
      parameters.append(parameter)
    }
  }
}
