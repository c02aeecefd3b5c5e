import CTLS

/// The certificates of a server, and what it offers its clients: TLS 1.2 or 1.3 with forward secrecy, tickets to resume a session,
/// and `http/1.1` in ALPN; or what clients offer, and whom they trust. May be used by all reactors at once.
@safe public final class TLSContext: Sendable {
  /// A certificate and its key, in DER.
  public struct Certificate: Sendable {
    /// The server's own certificate first, then the intermediate ones.
    var chain: [[UInt8]]
    var key: [UInt8]

    public init(chain: [[UInt8]], key: [UInt8]) {
      self.chain = chain
      self.key = key
    }

    /// The longest key, in DER. One for RSA with 16,384 bits has some 9 KB.
    private static let longestKey = 32 * 1024

    /// The key in a PEM text, in DER; nil where there is none that OpenSSL can read.
    ///
    /// - Parameter passphrase: of an encrypted key.
    public static func key(inPEM text: [UInt8], passphrase: [UInt8]) -> [UInt8]? {
      let key = unsafe [UInt8](unsafeUninitializedCapacity: longestKey) { key, count in
        guard let start = key.baseAddress else { return }
        count = unsafe tls_key_decode(text, text.count, passphrase, passphrase.count, start, key.count)
      }
      return key.isEmpty ? nil : key
    }
  }

  public enum MinimumVersion: Int32, Sendable {
    case tls12 = 2
    case tls13 = 3
  }

  /// Whose certificates clients accept.
  public enum Trust: Sendable, Equatable {
    case anybody
    /// Those that the system trusts.
    case system
    /// Those in a PEM file, or what they have signed.
    case file(String)
  }

  /// Why there is no context, in words of OpenSSL.
  public struct Fault: Error, Sendable, CustomStringConvertible {
    public let description: String

    /// Whether a certificate's key has fewer bits than the least level of security asks for.
    public var isOfWeakKey: Bool { description == "ee key too small" }
  }

  /// Written during `init` only; OpenSSL's own contexts may be used by many threads.
  nonisolated(unsafe) let raw: OpaquePointer
  private let choose: @Sendable (String) -> Int

  /// - Parameters:
  ///   - certificates: the first is for clients that name no server.
  ///   - choose: the index of the certificate for the name in a client's hello (RFC 6066 section 3), called on any reactor.
  public init(
    _ certificates: [Certificate], minimum: MinimumVersion,
    choose: @escaping @Sendable (String) -> Int = { _ in 0 }
  ) throws(Fault) {
    guard let raw = unsafe tls_context_make(minimum.rawValue) else { throw Fault(description: "no memory") }
    unsafe self.raw = raw
    self.choose = choose
    for certificate in certificates {
      let fault = unsafe tls_context_add(
        raw, certificate.chain.flatMap(\.self), certificate.chain.map(\.count), certificate.chain.count,
        certificate.key, certificate.key.count)
      if let fault = unsafe fault { throw unsafe Fault(description: String(cString: fault)) }
    }
    // Not retained: sessions keep this object, and it keeps the context.
    let owner = unsafe Unmanaged.passUnretained(self).toOpaque()
    unsafe tls_context_choose(
      raw,
      { owner, name in
        let context = unsafe Unmanaged<TLSContext>.fromOpaque(owner).takeUnretainedValue()
        return unsafe context.choose(String(cString: name))
      }, owner)
  }

  /// A context for clients, which resume no session.
  public init(forClientsTrusting trust: Trust) throws(Fault) {
    guard let raw = unsafe tls_context_make(MinimumVersion.tls12.rawValue) else {
      throw Fault(description: "no memory")
    }
    unsafe self.raw = raw
    choose = { _ in 0 }
    let fault =
      switch trust {
      case .anybody: unsafe tls_context_connect(raw, false, nil)
      case .system: unsafe tls_context_connect(raw, true, nil)
      case .file(let path): unsafe tls_context_connect(raw, true, path)
      }
    if let fault = unsafe fault { throw unsafe Fault(description: String(cString: fault)) }
  }

  deinit {
    unsafe tls_context_free(raw)
  }
}
