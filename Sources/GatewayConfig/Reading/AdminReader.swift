import Bytes

extension AdminAddress {
  private static let shape = "{address: \"127.0.0.1:9001\", token: {env: ADMIN_TOKEN}}"
  private static let shapes = "unix:/run/sluice/admin.sock, \(shape), or false"

  /// `server.admin`: `unix:PATH`, `{address, token}`, `true` for the usual socket, or `false`.
  ///
  /// - Returns: nil where it is none of these, which has been reported.
  init?(reading node: Node, _ reading: Reading) {
    guard node.entries == nil else {
      guard let found = Self.readMapping(node, reading) else { return nil }
      self = found
      return
    }
    if node.isWord("true") || node.isWord("false") {
      self = node.isWord("true") ? .standard : .nowhere
      return
    }
    guard !node.isNull else {
      reading.findings.error(
        .yamlSurprise, "\"admin\" is null", at: node.range,
        hint: "write false for no commands, or remove the key for the usual socket")
      return nil
    }
    if let word = Self.truth(node) {
      reading.findings.error(
        .yamlSurprise, "\"admin\" is \"\(node.word ?? "")\"", at: node.range,
        hint: "write \(word) for \(word ? "the usual socket" : "no commands")")
      return nil
    }
    guard let scalar = reading.textScalar(node, "\"admin\""),
      let address = Self.read(scalar, at: node.range, reading)
    else { return nil }
    guard case .unix(let path) = address else {
      reading.findings.error(
        .missingKey, "everybody on this machine could give orders at \(address): it needs a token",
        at: node.range, hint: "write {address: \"\(address)\", token: {env: ADMIN_TOKEN}}")
      return nil
    }
    guard let whole = Self.whole(path, at: node.range, reading) else { return nil }
    self = .unix(path: whole)
  }

  /// What is meant by a word that other programs take for a truth value.
  private static func truth(_ node: Node) -> Bool? {
    switch node.word?.lowercased() {
    case "true", "on", "yes": true
    case "false", "off", "no", "none", "never": false
    default: nil
    }
  }

  /// The path from the folder of the file on.
  private static func whole(_ path: String, at range: SourceRange, _ reading: Reading) -> String? {
    let whole = reading.place(of: path, at: range)
    guard let fault = BindAddress.fault(ofPath: whole) else { return whole }
    return reading.refuse(.invalidValue, fault, at: range, hint: "name a shorter one")
  }

  private static func readMapping(_ node: Node, _ reading: Reading) -> AdminAddress? {
    guard let mapping = MappingCursor(node, .admin, reading) else { return nil }
    let place = mapping.required("address", hint: shape)
    let address = place.flatMap { place in
      reading.textScalar(place, "an address").flatMap { read($0, at: place.range, reading) }
    }
    let token = mapping.entry("token")
    let secret = token.flatMap { reading.token($0.value) }.map { Secret($0) }
    mapping.finish()
    guard let place, let address else { return nil }
    switch address {
    case .unix(let path):
      if let token {
        reading.findings.error(
          .conflictingKeys,
          "only the user of the gateway, and root, can connect to \(address): a token is not asked for",
          at: token.key.range, hint: "remove it")
      }
      return whole(path, at: place.range, reading).map { .unix(path: $0) }
    case .tcp(let host, let port):
      guard token != nil else {
        return reading.refuse(
          .missingKey, "everybody on this machine could give orders at \(address): it needs a token",
          at: place.range, hint: "add token: {env: ADMIN_TOKEN}")
      }
      return secret.map { .loopback(host: host, port: port, token: $0) }
    }
  }

  /// - Returns: a Unix socket, or an address that only this machine reaches.
  private static func read(_ scalar: Node.Scalar, at range: SourceRange, _ reading: Reading) -> BindAddress? {
    if let fault = BindAddress.fault(of: scalar.text) {
      return reading.refuse(
        .invalidValue, fault + reading.origin(scalar), at: range, hint: "name a shorter one")
    }
    guard let address = BindAddress(scalar.text) else {
      return reading.refuse(
        .invalidValue,
        "\"\(scalar.text)\" is not an address for commands\(reading.origin(scalar))", at: range,
        hint: Reading.literalHint(scalar) ?? hint(for: scalar.text))
    }
    if case .tcp(let host, let port) = address, !isLoopback(host) {
      return reading.refuse(
        .invalidValue,
        "other machines could give orders at \(address)\(reading.origin(scalar))", at: range,
        hint: "write 127.0.0.1:\(port), or unix:PATH; from elsewhere, go through ssh")
    }
    return address
  }

  private static func hint(for text: String) -> String {
    if text.hasPrefix("/") || text.hasPrefix("./"), BindAddress("unix:" + text) != nil {
      return "write unix:\(text)"
    }
    if UInt16(digits: text[...]) != nil {
      return "write {address: \"127.0.0.1:\(text)\", token: {env: ADMIN_TOKEN}}"
    }
    return "write \(shapes)"
  }

  private static func isLoopback(_ host: String) -> Bool {
    host == "localhost" || IPAddress(host)?.isLoopback == true
  }
}
