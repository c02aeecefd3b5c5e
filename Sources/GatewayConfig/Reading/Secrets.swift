extension Reading {
  /// A secret that must be text, read like `secretBytes`.
  ///
  /// - Returns: nil if there is none. Must never be printed.
  func secret(_ node: Node, _ what: String) -> String? {
    guard let secret = secretBytes(node, what) else { return nil }
    if let text = secret.text { return text }
    return refuse(
      .invalidValue, "\(what) holds bytes that are not UTF-8, and has to be text", at: node.range,
      hint: "make one with: openssl rand -hex 32")
  }

  /// A secret that clients show in a header, long enough not to be guessed.
  ///
  /// - Returns: nil if there is none. Must never be printed.
  func token(_ node: Node) -> String? {
    guard let token = secret(node, "\"token\"") else { return nil }
    guard PublishConfiguration.isToken(token) else {
      return refuse(
        .invalidValue,
        token.isEmpty
          ? "the token is empty" : "the token contains a character that no HTTP header can carry",
        at: node.range, hint: "generate one with: openssl rand -hex 32")
    }
    guard token.utf8.count >= PublishConfiguration.shortestToken else {
      return refuse(
        .outOfRange, "the token is short enough to be guessed", at: node.range,
        hint: "\(PublishConfiguration.shortestToken) characters or more are needed: openssl rand -hex 32")
    }
    return token
  }

  /// A key in PEM form in place of a secret, read like one. There is none where only its name is known.
  func pem(_ node: Node, _ what: String) -> String? {
    guard let secret = secretBytes(node, what), !secret.isStandIn else { return nil }
    return secret.text ?? self.secret(node, what)
  }

  /// `{env: NAME}` or `{file: PATH}`, with `encoding:` if the bytes are encoded as text. A secret that is written into the
  /// configuration, also as the default of a variable, is used, with a warning.
  ///
  /// - Returns: nil if there is none. Must never be printed.
  func secretBytes(_ node: Node, _ what: String) -> Secret? {
    switch node.content {
    case .scalar(let scalar):
      // A mistake in its notation has been reported with its line.
      guard !scalar.isUnusable else {
        findings.hide(node.range)
        return standIn(for: node)
      }
      warnOfPlain(scalar, what, at: node.range)
      return Secret(scalar.text)
    case .sequence:
      findings.hide(node.range)
      return refuse(.wrongType, "expected text for \(what), found a list", at: node.range)
    case .mapping(let entries):
      // The keys may be the secret: `secret: {hunter2}`.
      guard let stranger = entries.first(where: { !Self.isKeyOfReference($0.key.value) }) else {
        return secret(referredToBy: node, what)
      }
      findings.hide(node.range)
      return refuse(
        .unknownKey, "the mapping for \(what) has a key that no secret has", at: stranger.key.range,
        hint: Self.referenceHint)
    }
  }

  /// What stands for a text with a variable that is not set: the variable has its name in it. Nil where it has to be set.
  func standIn(for node: Node) -> Secret? {
    guard secrets == .named, case .scalar(let scalar) = node.content, scalar.isUnusable else { return nil }
    return Secret(standingFor: "text \(scalar.text)")
  }

  /// Reports a secret that no HMAC can be made with.
  ///
  /// HMAC fills a short key up with NUL bytes (RFC 2104 section 2), so the same key without them makes the same signatures; a key of
  /// nothing but NUL bytes is the empty key.
  func isKey(_ secret: Secret, at range: SourceRange) -> Bool {
    if secret.bytes.isEmpty {
      findings.error(.invalidKey, "the secret is empty", at: range)
      return false
    }
    guard secret.bytes.last == 0 else { return true }
    findings.error(
      .invalidKey,
      secret.bytes.allSatisfy { $0 == 0 }
        ? "the secret consists of NUL bytes only, which HMAC cannot tell from an empty key"
        : "the secret ends in a NUL byte, and HMAC cannot tell it from the same key without that byte",
      at: range, hint: "make one with: openssl rand -hex 32")
    return false
  }

  /// A default is in the file as well. An empty one says that there is no secret.
  private func warnOfPlain(_ scalar: Node.Scalar, _ what: String, at range: SourceRange) {
    guard let origin = scalar.origin else {
      return findings.warning(
        .plainSecret, "\(what) is written into the configuration", at: range,
        hint: Self.literalHint(scalar) ?? Self.referenceHint)
    }
    guard origin.isDefault, !scalar.text.isEmpty else { return }
    findings.warning(
      .plainSecret, "\(what) is written into the configuration, as a default", at: range,
      hint: "write {env: NAME}, and set the variable")
  }

  private static let referenceHint = "write {env: NAME} or {file: PATH}"

  private func secret(referredToBy node: Node, _ what: String) -> Secret? {
    guard let reference = MappingCursor(node, .secret, self) else { return nil }
    let variable = reference.value("env")
    let file = reference.value("file")
    let encoding = reference.value("encoding")
    reference.finish()
    if (variable == nil) == (file == nil) {
      findings.error(
        .conflictingKeys, "a secret needs either \"env\" or \"file\"", at: reference.place,
        hint: Self.referenceHint)
    }
    let missing = (variable ?? file).flatMap(standIn)
    let secret: Secret? =
      if let missing {
        missing
      } else if let variable {
        secret(inVariable: variable)
      } else {
        file.flatMap(secret(inFile:))
      }
    guard let encoding, secret?.isStandIn != true else { return secret }
    guard let kind = choice(encoding, "\"encoding\"", of: SecretEncoding.self), let secret else { return nil }
    // A misspelt encoding is reported, and not guessed.
    return encoding.isWord(kind.rawValue) ? decoded(secret, kind, what, at: encoding.range) : secret
  }

  static func isKeyOfReference(_ key: String) -> Bool {
    let known = ["env", "file", "encoding"]
    return known.contains(key) || NearestName.of(key, in: known) != nil
  }

  /// The hint for `${NAME}` in quotes in which it stays text.
  static func literalHint(_ scalar: Node.Scalar) -> String? {
    guard scalar.style == .quoted, scalar.origin == nil, scalar.text.contains("${") else { return nil }
    return "single quotes keep \"${NAME}\" as text: put the value in double quotes for the variable"
  }

  static func literalHint(_ node: Node) -> String? {
    if case .scalar(let scalar) = node.content { literalHint(scalar) } else { nil }
  }

  /// The finding shows nothing of the secret.
  private func decoded(
    _ secret: Secret, _ encoding: SecretEncoding, _ what: String, at range: SourceRange
  ) -> Secret? {
    if let bytes = encoding.decode(secret.bytes) { return Secret(bytes: bytes) }
    // The text could be valid in another encoding as well, which would make other bytes of it.
    if let (found, hint) = encoding.fault(of: secret.bytes) {
      return refuse(
        .invalidValue, "\(what) is not written in \(encoding.rawValue): it \(found)", at: range, hint: hint)
    }
    let other = SecretEncoding.allCases.first { $0.decode(secret.bytes) != nil }
    return refuse(
      .invalidValue, "\(what) is not written in \(encoding.rawValue)", at: range,
      hint: other.map { "write encoding: \($0.rawValue)" }
        ?? "leave \"encoding\" out where the bytes are the secret itself")
  }

  private func secret(inVariable node: Node) -> Secret? {
    guard case .scalar(let scalar) = node.content, scalar.origin == nil else {
      return secret(inSubstituted: node)
    }
    guard let name = word(node, "\"env\"") else { return nil }
    guard let value = environment[name] else {
      if secrets == .named { return Secret(standingFor: "env \(name)") }
      guard secrets == .read else { return nil }
      guard VariableName.isLikely(name) else {
        findings.hide(node.range)
        return refuse(
          .undefinedVariable, "\"env\" takes the name of an environment variable that is set", at: node.range,
          hint: "write env: NAME, and set the variable to the secret")
      }
      return refuse(
        .undefinedVariable, Variables.unset(name, isRunning: isRunning), at: node.range,
        hint: "\(Variables.remedy(isRunning: isRunning)), or write {file: PATH}")
    }
    return secret(value, of: "the environment variable \"\(name)\"", at: node.range)
  }

  /// `{env: "${NAME}"}`: the value of one variable is the name of another one. It is not printed, because it is most likely the
  /// secret.
  private func secret(inSubstituted node: Node) -> Secret? {
    guard let scalar = scalar(node, "\"env\""), let origin = scalar.origin else { return nil }
    let shown = "${\(origin.variable)}"
    guard let value = environment[scalar.text] else {
      if secrets == .named { return Secret(standingFor: "env \(scalar.text)") }
      guard secrets == .read else { return nil }
      return refuse(
        .undefinedVariable, "\"env\" takes the name of a variable, and \"\(shown)\" stands for its value",
        at: node.range, hint: "write env: \(origin.variable), without \"$\"")
    }
    return secret(value, of: "the environment variable that \"\(shown)\" names", at: node.range)
  }

  private func secret(_ value: String, of what: String, at range: SourceRange) -> Secret? {
    // The replacement character stands for bytes that are not text.
    if value.unicodeScalars.contains("\u{FFFD}") {
      return refuse(
        .invalidValue, "\(what) holds bytes that are not UTF-8", at: range,
        hint: "write {file: PATH}, or put them there in base64 and add encoding: base64")
    }
    return Secret(file: Array(value.utf8))
  }

  private func secret(inFile node: Node) -> Secret? {
    guard let name = fileName(node, "\"file\"") else { return nil }
    if let text = contents(of: name, as: .secret, isSecret: true, at: node.range) {
      return Secret(file: text)
    }
    return secrets == .named ? Secret(standingFor: "file \(name.isShown ? name.shown : name.place)") : nil
  }

  /// The name of a file, as findings show it.
  struct FileName {
    /// In quotes; what a variable holds is not shown, because it may be the secret itself.
    var shown: String
    /// Relative to the working directory.
    var place: String
    var isShown = true

  }

  /// A name that is written in the file.
  func fileName(_ name: String, at range: SourceRange) -> FileName {
    FileName(shown: "\"\(name)\"", place: place(of: name, at: range))
  }

  /// The name of a file that holds a secret or a key.
  func fileName(_ node: Node, _ what: String) -> FileName? {
    guard let scalar = scalar(node, what) else { return nil }
    // A finding about a word repeats it.
    guard let origin = scalar.origin, !scalar.text.isEmpty else {
      return word(node, what).map { fileName($0, at: node.range) }
    }
    var name = fileName(scalar.text, at: node.range)
    name.shown = "the file that \"${\(origin.variable)}\" names"
    name.isShown = false
    return name
  }

  /// The contents of a file; nil, with a finding, where it cannot be read.
  ///
  /// A secret may be missing where the configuration is checked without its secrets. What is there has to be a file, and one that
  /// exists and cannot be read is reported.
  func contents(of name: FileName, as use: FileUse, isSecret: Bool = false, at range: SourceRange) -> [UInt8]?
  {
    switch files.contents(of: name.place, as: use) {
    case .success(let bytes): return bytes
    case .failure(let fault):
      let found = secrets != .read && isSecret ? files.fault(of: name.place, as: use) : fault
      if let found {
        findings.error(
          .unreadableFile, "\(name.shown) cannot be read: \(found.message)", at: range,
          hint: name.isShown ? nearestFile(name.place, at: range) : nil)
      } else if files.isFile(name.place) {
        findings.warning(
          .unreadableFile, "the file of this secret exists, and the user of this process cannot read it",
          at: range,
          hint:
            "Sluice has to be able to read it: check its owner and its mode, or run this as the user of the service"
        )
      }
      return nil
    }
  }
}
