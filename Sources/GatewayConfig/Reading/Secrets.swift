extension Reading {
  /// `{env: NAME}` or `{file: PATH}`. One that is written into the file is used, with a warning.
  ///
  /// - Returns: nil where there is none; never to be printed.
  func secret(_ node: Node, _ what: String) -> String? {
    switch node.content {
    case .scalar(let scalar):
      // A slip in how it is written was reported, with its line.
      if scalar.isUnusable { findings.hide(node.range) }
      if scalar.origin == nil, !scalar.isUnusable {
        findings.warning(
          .plainSecret, "\(what) is written into the configuration", at: node.range,
          hint: "write {env: NAME} or {file: PATH}")
      }
      return scalar.isUnusable ? nil : scalar.text
    case .sequence:
      findings.error(.wrongType, "expected text for \(what), found a list", at: node.range)
      return nil
    case .mapping:
      guard let reference = MappingCursor(node, "a secret", self) else { return nil }
      let variable = reference.value("env")
      let file = reference.value("file")
      reference.finish()
      if (variable == nil) == (file == nil) {
        findings.error(
          .conflictingKeys, "a secret needs either \"env\" or \"file\"", at: reference.place,
          hint: "write {env: NAME} or {file: PATH}")
      }
      if let variable { return secret(inVariable: variable) }
      return file.flatMap(secret(inFile:))
    }
  }

  private func secret(inVariable node: Node) -> String? {
    guard let name = word(node, "\"env\"") else { return nil }
    if let value = environment[name] { return value }
    guard !isWithoutSecrets else { return nil }
    findings.error(.undefinedVariable, "the environment variable \"\(name)\" is not set", at: node.range)
    return nil
  }

  /// The text of the file without the line feed that editors put at its end.
  private func secret(inFile node: Node) -> String? {
    guard let path = word(node, "\"file\"") else { return nil }
    let place = Paths.join(Paths.directory(of: node.range.file.path), path)
    switch files.contents(of: place, as: .secret) {
    case .success(let bytes):
      let lines = bytes.reversed().drop { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }
      return String(decoding: lines.reversed(), as: UTF8.self)
    case .failure(let fault):
      guard !isWithoutSecrets else { return nil }
      findings.error(
        .unreadableFile, "\"\(path)\" cannot be read: \(fault.message)", at: node.range,
        hint: nearestFile(place))
      return nil
    }
  }
}
