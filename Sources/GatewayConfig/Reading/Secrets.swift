extension Reading {
  /// A secret that must be text, read like `secretBytes`.
  ///
  /// - Returns: nil if there is none. Must never be printed.
  func secret(_ node: Node, _ what: String) -> String? {
    guard let secret = secretBytes(node, what) else { return nil }
    if let text = secret.text { return text }
    findings.error(
      .invalidValue, "\(what) holds bytes that are not UTF-8, and has to be text", at: node.range,
      hint: "make one with: openssl rand -hex 32")
    return nil
  }

  /// `{env: NAME}` or `{file: PATH}`, with `encoding:` if the bytes are encoded as text. A secret that is written into the
  /// configuration is used, with a warning.
  ///
  /// - Returns: nil if there is none. Must never be printed.
  func secretBytes(_ node: Node, _ what: String) -> Secret? {
    switch node.content {
    case .scalar(let scalar):
      // A mistake in its notation has been reported with its line.
      if scalar.isUnusable { findings.hide(node.range) }
      if scalar.origin == nil, !scalar.isUnusable {
        findings.warning(
          .plainSecret, "\(what) is written into the configuration", at: node.range,
          hint: "write {env: NAME} or {file: PATH}")
      }
      return scalar.isUnusable ? nil : Secret(scalar.text)
    case .sequence:
      findings.error(.wrongType, "expected text for \(what), found a list", at: node.range)
      return nil
    case .mapping:
      guard let reference = MappingCursor(node, "a secret", self) else { return nil }
      let variable = reference.value("env")
      let file = reference.value("file")
      let encoding = reference.value("encoding")
      reference.finish()
      if (variable == nil) == (file == nil) {
        findings.error(
          .conflictingKeys, "a secret needs either \"env\" or \"file\"", at: reference.place,
          hint: "write {env: NAME} or {file: PATH}")
      }
      let secret: Secret? =
        if let variable { secret(inVariable: variable) } else { file.flatMap(secret(inFile:)) }
      guard let encoding else { return secret }
      guard let kind = choice(encoding, "\"encoding\"", of: SecretEncoding.self), let secret else {
        return nil
      }
      // A misspelt encoding is reported, and not guessed.
      guard case .scalar(let word) = encoding.content, word.text == kind.rawValue else { return secret }
      return decoded(secret, kind, what, at: encoding.range)
    }
  }

  /// The finding shows nothing of the secret.
  private func decoded(
    _ secret: Secret, _ encoding: SecretEncoding, _ what: String, at range: SourceRange
  ) -> Secret? {
    if let bytes = encoding.decode(secret.bytes) { return Secret(bytes: bytes) }
    // The text could be valid in another encoding as well, which would make other bytes of it.
    if let (found, hint) = encoding.fault(of: secret.bytes) {
      findings.error(
        .invalidValue, "\(what) is not written in \(encoding.rawValue): it \(found)", at: range, hint: hint)
      return nil
    }
    let other = SecretEncoding.allCases.first { $0.decode(secret.bytes) != nil }
    findings.error(
      .invalidValue, "\(what) is not written in \(encoding.rawValue)", at: range,
      hint: other.map { "write encoding: \($0.rawValue)" }
        ?? "leave \"encoding\" out where the bytes are the secret itself")
    return nil
  }

  private func secret(inVariable node: Node) -> Secret? {
    guard let name = word(node, "\"env\"") else { return nil }
    guard let value = environment[name] else {
      guard !isWithoutSecrets else { return nil }
      findings.error(.undefinedVariable, "the environment variable \"\(name)\" is not set", at: node.range)
      return nil
    }
    // The replacement character stands for bytes that are not text.
    if value.unicodeScalars.contains("\u{FFFD}") {
      findings.error(
        .invalidValue, "the environment variable \"\(name)\" holds bytes that are not UTF-8", at: node.range,
        hint: "write {file: PATH}, or put them there in base64 and add encoding: base64")
      return nil
    }
    return Secret(file: Array(value.utf8))
  }

  private func secret(inFile node: Node) -> Secret? {
    guard let path = word(node, "\"file\"") else { return nil }
    let place = Paths.join(Paths.directory(of: node.range.file.path), path)
    switch files.contents(of: place, as: .secret) {
    case .success(let bytes): return Secret(file: bytes)
    case .failure(let found):
      // Without secrets a file may be missing, but what is there has to be a file.
      guard let fault = isWithoutSecrets ? files.fault(of: place, as: .secret) : found else { return nil }
      findings.error(
        .unreadableFile, "\"\(path)\" cannot be read: \(fault.message)", at: node.range,
        hint: nearestFile(place))
      return nil
    }
  }
}
