import Bytes
import Crypto
import Glibc
import NIOSSL
import Transport

/// Reads `server.tls`, and the files that it names.
struct ServerTLSReader {
  let reading: Reading

  private static let certificateKeys = Key.at(.certificate).map(\.name)

  /// - Parameter bindOptions: gets what is said of the addresses of `bind`.
  func read(_ node: Node, into bindOptions: inout [BindAddress: BindOptions]) -> ServerTLS? {
    guard let mapping = MappingCursor(node, .serverTLS, reading, shape: "{certificate: FILE, key: FILE}")
    else { return nil }
    let bind = mapping.value("bind").map { BindAddress.read($0, into: &bindOptions, reading) }
    let version = mapping.choice("minimum_version", of: ServerTLS.MinimumVersion.self)
    let entries = readCertificates(mapping)
    mapping.finish()
    checkNames(of: entries.compactMap(\.self))
    let certificates = entries.compactMap { $0?.certificate }
    guard !certificates.isEmpty, certificates.count == entries.count else { return nil }
    return ServerTLS(
      bind: bind, minimumVersion: version ?? .tls12, certificates: certificates, source: node)
  }

  /// A certificate, and the places of the certificate and of its names in the file.
  private struct Entry {
    var certificate: ServerCertificate
    var place: SourceRange
    var names: [Located<String>]
    var areNamesListed: Bool
  }

  /// Nil stands for a certificate that could not be read, which has been reported.
  private func readCertificates(_ mapping: MappingCursor) -> [Entry?] {
    guard let several = mapping.entry("certificates") else { return [readCertificate(mapping)] }
    for key in Self.certificateKeys.compactMap({ mapping.entry($0)?.key }) {
      reading.findings.error(
        .conflictingKeys, "\"\(key.value)\" cannot be used beside \"certificates\"", at: key.range,
        hint: "move it into the list")
    }
    guard let items = reading.list(several.value, "\"certificates\"") else { return [nil] }
    if items.isEmpty {
      reading.findings.error(
        .invalidValue, "\"certificates\" is empty", at: several.value.range,
        hint: "write {certificate: FILE, key: FILE}")
    }
    return items.map { item in
      guard let mapping = MappingCursor(item, .certificate, reading) else { return nil }
      let entry = readCertificate(mapping)
      mapping.finish()
      return entry
    }
  }

  // MARK: - One certificate

  private func readCertificate(_ mapping: MappingCursor) -> Entry? {
    let file = mapping.required("certificate", hint: "certificate: fullchain.pem")
    let keyNode = mapping.required("key", hint: "key: key.pem")
    let passphrase = mapping.value("passphrase")
    let listed = mapping.value("names").map { readNames($0) }
    let chain = file.flatMap(readChain)
    let key = keyNode.flatMap { readKey($0, passphrase: passphrase) }
    guard let file, let keyNode, let chain, let key else { return nil }
    checkDates(of: chain[0], at: file.range)
    guard let pair = pair(chain, key, at: file.range, keyAt: keyNode.range) else { return nil }
    let own = chain[0].dnsNames
    let names = listed ?? own.map { Located($0, at: file.range) }
    for name in names where !Self.covers(name.value, by: own) {
      reading.findings.error(
        .invalidCertificate, "the certificate is not for \"\(name.value)\"", at: name.range,
        hint: own.isEmpty
          ? "the certificate has no DNS names" : "the certificate is for \(own.joined(separator: ", "))")
    }
    return Entry(
      certificate: ServerCertificate(
        pair: pair, names: names.map(\.value), expires: Self.date(chain[0].notValidAfter),
        fingerprint: Self.fingerprint(of: chain)), place: file.range,
      names: names, areNamesListed: listed != nil)
  }

  private func readNames(_ node: Node) -> [Located<String>] {
    let names = (reading.words(node, "\"names\"") ?? []).map { Located($0.value.lowercased(), at: $0.range) }
    return names.filter { name in
      guard let fault = Self.fault(of: name.value) else { return true }
      reading.findings.error(
        .invalidValue, "\"\(name.value)\" is not a valid server name", at: name.range, hint: fault)
      return false
    }
  }

  /// What to write instead of a name that no client would send.
  private static func fault(of name: String) -> String? {
    let labels = name.split(separator: ".", omittingEmptySubsequences: false)
    let isAddress =
      labels.allSatisfy { UInt8($0) != nil }
      || name.contains(":") && name.allSatisfy { $0 == ":" || $0.isHexDigit }
    guard !isAddress else {
      return
        "clients that connect to an IP address send no server name; the first certificate is used for them"
    }
    let rest = labels.first == "*" ? labels.dropFirst() : labels[...]
    // The name is in lower case.
    let isHost = rest.allSatisfy { label in
      !label.isEmpty && label.utf8.allSatisfy { $0.isOfKey || $0.isDigit || $0 == UInt8(ascii: "-") }
    }
    return isHost && !rest.isEmpty ? nil : "write example.com, or *.example.com"
  }

  private func readChain(_ node: Node) -> [NIOSSLCertificate]? {
    guard let path = reading.word(node, "\"certificate\"") else { return nil }
    guard !path.contains("-----BEGIN") else {
      // The finding shows nothing of the text, because it may contain the key.
      return reading.refuse(
        path.contains("PRIVATE KEY-----") ? .plainSecret : .invalidCertificate,
        "the certificate is written into the configuration", at: node.range,
        hint: "write the path of its file")
    }
    let file = reading.fileName(path, at: node.range)
    guard let text = reading.contents(of: file, as: .certificate, at: node.range) else { return nil }
    guard let chain = try? NIOSSLCertificate.fromPEMBytes(text), !chain.isEmpty else {
      let isKey = String(decoding: text, as: UTF8.self).contains("PRIVATE KEY-----")
      return reading.refuse(
        .invalidCertificate, "\"\(path)\" contains no valid certificate in PEM format", at: node.range,
        hint: isKey ? "the file contains a key" : Self.missingPEM(text, "CERTIFICATE"))
    }
    return chain
  }

  /// A file of trusted certificates.
  ///
  /// - Returns: its absolute path.
  func checkedAuthorities(_ node: Node) -> String? {
    guard let name = reading.word(node, "\"ca\""), readChain(node) != nil else { return nil }
    return reading.files.absolute(reading.place(of: name, at: node.range))
  }

  private struct PrivateKey {
    var parsed: NIOSSLPrivateKey
    /// In PEM.
    var text: [UInt8]
    var passphrase: [UInt8]

    /// Nil for a kind of key that neither library knows. Swift's gives only RSA keys and those on curves of NIST.
    var der: [UInt8]? {
      (try? parsed.derBytes) ?? TLSContext.Certificate.key(inPEM: text, passphrase: passphrase)
    }
  }

  private enum ReadKey {
    case known(PrivateKey)
    /// It is not there, or its passphrase is not, where secrets need not be.
    case absent
  }

  /// A file, or a reference to a secret with the contents of such a file.
  ///
  /// - Returns: nil where it cannot be used, which has been reported.
  private func readKey(_ node: Node, passphrase: Node?) -> ReadKey? {
    let absent = reading.secrets == .read ? nil : ReadKey.absent
    let phrase = passphrase.map { reading.secretBytes($0, "\"passphrase\"") }
    guard let text = keyText(node) else { return absent }
    let shown = String(decoding: text, as: UTF8.self)
    guard shown.contains("PRIVATE KEY-----") else {
      return reading.refuse(
        .invalidCertificate, "the value is not a key in PEM format", at: node.range,
        hint: shown.contains("CERTIFICATE-----")
          ? "the file contains a certificate" : Self.missingPEM(text, "PRIVATE KEY"))
    }
    warnIfExposed(node)
    let isEncrypted = shown.contains("ENCRYPTED")
    guard !isEncrypted || passphrase != nil else {
      return reading.refuse(
        .invalidCertificate, "the key is encrypted", at: node.range, hint: "add passphrase: {env: NAME}")
    }
    // Where a missing passphrase is a mistake, it has been reported.
    if let phrase, phrase?.isStandIn ?? true { return absent }
    let bytes = phrase.flatMap(\.self)?.bytes ?? []
    // Without a callback the library would ask on the terminal.
    if let key = try? NIOSSLPrivateKey(bytes: text, format: .pem, passphraseCallback: { $0(bytes) }) {
      return .known(PrivateKey(parsed: key, text: text, passphrase: bytes))
    }
    return reading.refuse(
      .invalidCertificate,
      isEncrypted ? "the passphrase does not open the key, or the key is damaged" : "the key is damaged",
      at: node.range)
  }

  private func keyText(_ node: Node) -> [UInt8]? {
    guard case .scalar = node.content else { return reading.pem(node, "\"key\"").map { Array($0.utf8) } }
    guard let name = reading.fileName(node, "\"key\"") else { return nil }
    guard !name.place.contains("-----BEGIN") else {
      return reading.refuse(
        .plainSecret, "the key is written into the configuration", at: node.range,
        hint: "write the path of its file, or {env: NAME}")
    }
    return reading.contents(of: name, as: .certificate, isSecret: true, at: node.range)
  }

  /// - Parameter node: the path of a key file, or the reference to it.
  private func warnIfExposed(_ node: Node) {
    if let file = node.entry("file") { return warnIfExposed(file.value) }
    guard case .scalar(let scalar) = node.content else { return }
    let path = Paths.named(scalar.text, at: node.range)
    guard reading.files.isReadableByAll(path) else { return }
    reading.findings.warning(
      .exposedKey, "every user of this machine can read the key", at: node.range, hint: "chmod o-r \(path)")
  }

  private static func missingPEM(_ text: [UInt8], _ label: String) -> String {
    text.isEmpty ? "the file is empty" : "a PEM file begins with -----BEGIN \(label)-----"
  }

  /// What is served; a certificate whose key need not be there has none, and is never served.
  private func pair(
    _ chain: [NIOSSLCertificate], _ key: ReadKey, at place: SourceRange, keyAt keyPlace: SourceRange
  ) -> TLSContext.Certificate? {
    guard case .known(let key) = key else { return TLSContext.Certificate(chain: [], key: []) }
    guard isPair(chain, key.parsed) else {
      return reading.refuse(
        .invalidCertificate, "the key does not belong to the certificate", at: keyPlace,
        hint: "the server's own certificate must be the first one in its file")
    }
    return usablePair(chain, key, at: place)
  }

  private func isPair(_ chain: [NIOSSLCertificate], _ key: NIOSSLPrivateKey) -> Bool {
    let configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
    return (try? NIOSSLContext(configuration: configuration)) != nil
  }

  /// What the library that serves TLS accepts: keys of some strength, for instance.
  private func usablePair(
    _ chain: [NIOSSLCertificate], _ key: PrivateKey, at place: SourceRange
  ) -> TLSContext.Certificate? {
    let advice =
      "use an RSA key of 2,048 bits or more, a key on the curve P-256, P-384 or P-521, or an Ed25519 key"
    guard let secret = key.der else {
      return reading.refuse(
        .invalidCertificate, "keys of this kind are not supported", at: place, hint: advice)
    }
    do {
      let pair = TLSContext.Certificate(chain: try chain.map { try $0.toDERBytes() }, key: secret)
      _ = try TLSContext([pair], minimum: .tls12)
      return pair
    } catch let fault as TLSContext.Fault where fault.isOfWeakKey {
      return reading.refuse(
        .invalidCertificate, "the key of the certificate is too short to be secure", at: place, hint: advice)
    } catch {
      return reading.refuse(
        .invalidCertificate, "OpenSSL does not accept the certificate: \(error)", at: place)
    }
  }

  private func checkDates(of certificate: NIOSSLCertificate, at place: SourceRange) {
    let now = time(nil)
    if certificate.notValidAfter < now {
      reading.findings.warning(
        .certificateDates, "the certificate expired on \(Self.date(certificate.notValidAfter))", at: place,
        hint: "renew it: clients refuse an expired certificate")
    } else if certificate.notValidBefore > now {
      reading.findings.warning(
        .certificateDates, "the certificate is not valid before \(Self.date(certificate.notValidBefore))",
        at: place, hint: "clients refuse it until then")
    }
  }

  private static func fingerprint(of chain: [NIOSSLCertificate]) -> String {
    var hash = SHA256()
    // What cannot be written again has been refused.
    for certificate in chain { hash.update(data: (try? certificate.toDERBytes()) ?? []) }
    return hash.finalize().prefix(4).hexadecimal
  }

  private static func date(_ seconds: time_t) -> String {
    var seconds = seconds
    var parts = unsafe tm()
    unsafe gmtime_r(&seconds, &parts)
    let text = unsafe [Int(parts.tm_year) + 1900, Int(parts.tm_mon) + 1, Int(parts.tm_mday)].map { number in
      number < 10 ? "0\(number)" : "\(number)"
    }
    return text.joined(separator: "-")
  }

  // MARK: - All certificates

  private func checkNames(of entries: [Entry]) {
    var owners: [String: Int] = [:]
    for (index, entry) in entries.enumerated() {
      if index > 0, entry.names.isEmpty {
        reading.findings.error(
          .invalidCertificate,
          "no client would ever be shown this certificate: the certificate has no DNS names", at: entry.place)
      }
      for name in entry.names {
        guard let first = owners[name.value] else {
          owners[name.value] = index
          continue
        }
        guard first != index else { continue }
        reading.findings.error(
          .duplicateName, "two certificates are for the server name \"\(name.value)\"", at: name.range,
          hint: entry.areNamesListed ? nil : "give each certificate the \"names\" that it is for",
          related: [Finding.Related("the other one", at: entries[first].place)])
      }
    }
  }

  /// Whether a certificate for these names covers the name, which may have a wildcard itself.
  private static func covers(_ name: String, by own: [String]) -> Bool {
    own.contains(name) || ServerNames.wildcard(for: name).map(own.contains) == true
  }
}

extension NIOSSLCertificate {
  /// The certificate's DNS names, in lower case (RFC 6125: the subject's common name is not one of them).
  fileprivate var dnsNames: [String] {
    _subjectAlternativeNames().filter { $0.nameType == .dnsName }.map {
      String(decoding: $0.contents, as: UTF8.self).lowercased()
    }
  }
}

extension ConfigurationLoader {
  /// Reads the files of `server.tls` again, and nothing else.
  ///
  /// - Returns: nil if one of the findings is an error.
  package static func reload(
    _ tls: ServerTLS, environment: [String: String], files: any FileAccess = Disk()
  ) -> (tls: ServerTLS?, report: FindingReport) {
    let path = tls.source.range.file.path
    let reading = Reading(files: files, environment: environment)
    // The addresses stay as they are.
    var ignored: [BindAddress: BindOptions] = [:]
    let renewed = ServerTLSReader(reading: reading).read(tls.source, into: &ignored)
    let report = FindingReport(path: path, findings: reading.findings)
    return (reading.findings.hasErrors ? nil : renewed, report)
  }
}
