package import Transport

/// `server.tls`: the certificates, loaded and checked, and how to choose one for a client.
package struct ServerTLS: Sendable {
  package enum MinimumVersion: String, Sendable, Hashable, CaseIterable {
    case tls12 = "1.2"
    case tls13 = "1.3"
  }

  /// The addresses with TLS; nil for all addresses of `server.bind`.
  package var bind: [BindAddress]?
  package var minimumVersion: MinimumVersion
  /// At least one. The first is for clients that send no server name, or an unknown one.
  package let certificates: [ServerCertificate]
  private let names: ServerNames
  /// The YAML value that it was read from, to read the files again.
  let source: Node

  init(
    bind: [BindAddress]?, minimumVersion: MinimumVersion, certificates: [ServerCertificate], source: Node
  ) {
    self.bind = bind
    self.minimumVersion = minimumVersion
    self.certificates = certificates
    self.source = source
    names = ServerNames(certificates.map(\.names))
  }

  /// Whether both were read from the same place of the same text, and differ in what the files had by then.
  package func isRenewal(of other: ServerTLS) -> Bool { source.range == other.source.range }

  /// The index of the certificate for the name in the client's hello (RFC 6066 section 3).
  package func index(for serverName: String) -> Int {
    names.index(of: serverName) ?? 0
  }
}

/// A certificate of this server, and its key.
package struct ServerCertificate: Sendable {
  package var pair: TLSContext.Certificate
  /// In lower case; `*` in `*.example.com` stands for one label.
  package var names: [String]
  /// `2026-03-01`: the last day.
  package var expires: String
  /// The first 8 hexadecimal digits of the digest of the certificate and those that it is signed with: what tells a renewed one.
  package var fingerprint: String

  /// `example.com, www.example.com until 2026-03-01 (5f0c1a9e)`
  var text: String {
    "\(names.isEmpty ? "no name" : names.joined(separator: ", ")) until \(expires) (\(fingerprint))"
  }
}

/// Finds the certificate for a name: one with the name itself is preferred to one with a wildcard.
struct ServerNames: Sendable {
  private var indexes: [String: Int] = [:]

  /// - Parameter names: the names of each certificate.
  init(_ names: [[String]]) {
    for (index, names) in names.enumerated() {
      for name in names where indexes[name] == nil { indexes[name] = index }
    }
  }

  func index(of serverName: String) -> Int? {
    var name = serverName.lowercased()[...]
    if name.hasSuffix(".") { name = name.dropLast() }
    return indexes[String(name)] ?? Self.wildcard(for: name).flatMap { indexes[$0] }
  }

  /// `*.example.com` for `www.example.com` (RFC 6125 section 6.4.3: for one label, the first).
  static func wildcard(for name: some StringProtocol) -> String? {
    name.firstIndex(of: ".").flatMap { $0 > name.startIndex ? "*" + name[$0...] : nil }
  }
}

extension ServerConfiguration {
  /// An address to listen on, and the protocol there.
  package struct Listener: Sendable, Hashable {
    package var address: BindAddress
    package var isSecure: Bool
    package var options = BindOptions()
  }

  /// `server.bind` and `server.tls.bind`.
  package var listeners: [Listener] {
    let plain = bind.map { ($0, tls != nil && tls?.bind == nil) }
    return (plain + (tls?.bind ?? []).map { ($0, true) }).map { address, isSecure in
      Listener(address: address, isSecure: isSecure, options: bindOptions[address] ?? BindOptions())
    }
  }
}
