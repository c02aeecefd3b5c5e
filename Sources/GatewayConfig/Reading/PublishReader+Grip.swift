// `protocol: grip`, which takes what gripcontrol and django-grip publish.

extension PublishReader {
  /// Reads `protocol` and `secret`.
  ///
  /// - Parameter mapping: that of `publish`.
  /// - Returns: the entry of `secret`; nil without it.
  func readWire(_ mapping: MappingCursor, into publish: inout PublishConfiguration) -> Node.Entry? {
    publish.wire = mapping.choice("protocol", of: PublishConfiguration.Wire.self) ?? .json
    guard let secret = mapping.entry("secret") else { return nil }
    guard publish.wire == .grip else {
      reading.findings.error(
        .conflictingKeys, "\"secret\" signs the tokens of \"protocol: grip\", which this route does not have",
        at: secret.key.range, hint: "write \"token\" instead of \"secret\", or add protocol: grip")
      return nil
    }
    publish.secrets = readSecrets(secret.value)
    return secret
  }

  /// Who publishes in this protocol is a back end, and it asks for nothing else.
  ///
  /// - Parameter allow: the entry of the route; nil without it.
  func checkGrip(_ allow: Node.Entry?, _ publish: PublishConfiguration, at range: SourceRange) {
    guard publish.wire == .grip else { return }
    if let allow, publish.operations != [.publish] {
      reading.findings.error(
        .conflictingKeys, "with \"protocol: grip\" there is nothing to allow but \"publish\"",
        at: allow.key.range,
        hint: "remove \"allow\", and add a second route without \"protocol\" for the rest")
    }
    if settings.requiresAuthentication {
      reading.findings.error(
        .conflictingKeys, "\"protocol: grip\" is for back ends with a \"secret\", and \"auth\" is for users",
        at: range, hint: "add auth: none beside \"publish\"")
    }
  }

  private func readSecrets(_ node: Node) -> [Secret] {
    if node.items.isEmpty {
      reading.findings.error(
        .invalidValue, "the list of secrets is empty", at: node.range, hint: "secret: {env: GRIP_KEY}")
    }
    return node.items.compactMap { item in
      guard let secret = reading.secretBytes(item, "\"secret\""), reading.isKey(secret, at: item.range) else {
        return nil
      }
      guard secret.bytes.count >= PublishConfiguration.shortestToken else {
        return reading.refuse(
          .weakSecret,
          secret.bytes.isEmpty ? "the secret is empty" : "the secret is short enough to be guessed",
          at: item.range,
          hint: "\(PublishConfiguration.shortestToken) bytes or more are needed: openssl rand -hex 32")
      }
      return secret
    }
  }
}
