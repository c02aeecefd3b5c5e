/// The parameters of permessage-deflate that a client and this server have agreed on (RFC 7692 section 7.1).
public struct CompressionAgreement: Sendable, Hashable {
  public static let extensionName = "permessage-deflate"

  /// Whether this server's messages may refer to earlier ones.
  public var serverContext: ContextTakeover
  /// Whether the client's messages may refer to earlier ones.
  public var clientContext: ContextTakeover
  /// The window of this server's compressor: its base-2 logarithm, 9 to 15.
  public var serverWindowBits: Int
  /// The window of the client's compressor: its base-2 logarithm, 8 to 15.
  public var clientWindowBits: Int
  /// Whether the answer has to name the window: the client asked for the server's, or the server asks for the client's.
  fileprivate var namesServerWindow: Bool
  fileprivate var namesClientWindow: Bool

  /// What was agreed on in another process, which has answered it.
  package init(
    serverContext: ContextTakeover, clientContext: ContextTakeover, serverWindowBits: Int,
    clientWindowBits: Int
  ) {
    (self.serverContext, self.clientContext) = (serverContext, clientContext)
    (self.serverWindowBits, self.clientWindowBits) = (serverWindowBits, clientWindowBits)
    (namesServerWindow, namesClientWindow) = (false, false)
  }

  fileprivate init(
    serverContext: ContextTakeover, clientContext: ContextTakeover, serverWindowBits: Int,
    clientWindowBits: Int, namesServerWindow: Bool, namesClientWindow: Bool
  ) {
    (self.serverContext, self.clientContext) = (serverContext, clientContext)
    (self.serverWindowBits, self.clientWindowBits) = (serverWindowBits, clientWindowBits)
    (self.namesServerWindow, self.namesClientWindow) = (namesServerWindow, namesClientWindow)
  }

  /// The value of `Sec-WebSocket-Extensions` in the answer.
  public var response: String {
    var text = Self.extensionName
    if serverContext == .none { text += "; server_no_context_takeover" }
    if clientContext == .none { text += "; client_no_context_takeover" }
    if namesServerWindow { text += "; server_max_window_bits=\(serverWindowBits)" }
    if namesClientWindow { text += "; client_max_window_bits=\(clientWindowBits)" }
    return text
  }
}

/// Whether the compressor of one side keeps its window from one message to the next (RFC 7692 section 7.1.1).
public enum ContextTakeover: Sendable, Hashable {
  case kept
  /// Every message is compressed by itself.
  case none
}

/// What this server accepts and asks for in permessage-deflate.
public struct CompressionPolicy: Sendable, Hashable {
  /// The context to keep if the client allows it. With `none` the answer always says so.
  public var serverContext: ContextTakeover
  public var clientContext: ContextTakeover
  /// The largest window of either side, 9 to 15.
  public var windowBits: Int

  public init(serverContext: ContextTakeover, clientContext: ContextTakeover, windowBits: Int) {
    self.serverContext = serverContext
    self.clientContext = clientContext
    self.windowBits = windowBits
  }

  /// Chooses the first offer that can be accepted (RFC 7692 sections 5 and 7.1). Other offers and other extensions are declined
  /// by not answering them.
  public func choose(from offers: [ExtensionOffer]) -> CompressionAgreement? {
    for offer in offers where offer.name == CompressionAgreement.extensionName {
      if let agreement = CompressionOffer(offer).flatMap(accept) { return agreement }
    }
    return nil
  }

  /// zlib has no raw deflate with a window of 256 bytes, so an offer that insists on one for the server is declined. A client
  /// may send with such a window.
  private func accept(_ offer: CompressionOffer) -> CompressionAgreement? {
    let serverWindow = min(offer.serverWindowBits ?? 15, windowBits)
    guard serverWindow >= 9 else { return nil }
    // The parameter must not be sent to a client that did not say that it supports it (section 7.1.2.2).
    let clientWindow = offer.knowsClientWindow ? min(offer.clientWindowBits ?? 15, windowBits) : 15
    return CompressionAgreement(
      serverContext: offer.serverContext == .none ? .none : serverContext,
      clientContext: offer.clientContext == .none ? .none : clientContext,
      serverWindowBits: serverWindow, clientWindowBits: clientWindow,
      namesServerWindow: offer.serverWindowBits != nil || serverWindow < 15,
      namesClientWindow: offer.knowsClientWindow && clientWindow < 15)
  }
}

/// The parameters of one offer. Each may appear once, with a permitted value.
private struct CompressionOffer {
  var serverContext = ContextTakeover.kept
  var clientContext = ContextTakeover.kept
  var serverWindowBits: Int?
  var clientWindowBits: Int?
  var knowsClientWindow = false

  /// Nil if the offer has to be declined (section 7.1): it has an unknown or repeated parameter, or a value that is not
  /// permitted.
  init?(_ offer: ExtensionOffer) {
    var seen: Set<String> = []
    for parameter in offer.parameters {
      guard seen.insert(parameter.name).inserted else { return nil }
      switch (parameter.name, parameter.value) {
      case ("server_no_context_takeover", nil): serverContext = .none
      case ("client_no_context_takeover", nil): clientContext = .none
      case ("server_max_window_bits", let value?):
        guard let bits = Self.windowBits(value) else { return nil }
        serverWindowBits = bits
      case ("client_max_window_bits", let value):
        knowsClientWindow = true
        guard let value else { continue }
        guard let bits = Self.windowBits(value) else { return nil }
        clientWindowBits = bits
      default: return nil
      }
    }
  }

  /// Section 7.1.2: a decimal number of 8 to 15 without leading zeros.
  private static func windowBits(_ text: String) -> Int? {
    ["8", "9", "10", "11", "12", "13", "14", "15"].contains(text) ? Int(text) : nil
  }
}
