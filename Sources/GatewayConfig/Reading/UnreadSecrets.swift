extension Findings {
  /// Hides the lines with secrets in a value that nothing reads, such as the second one of a key: the reader of a secret hides its line
  /// otherwise.
  ///
  /// - Parameters:
  ///   - declared: what may stand there; nil where that is not known.
  ///   - key: the key that it stands under; nil for a whole file.
  mutating func hideSecrets(of node: Node, _ declared: KeyValue?, under key: String?) {
    switch node.content {
    case .scalar(let scalar): if scalar.mayBeSecret(declared, under: key) { hide(node.range) }
    case .sequence(let items):
      for item in items { hideSecrets(of: item, declared?.item ?? declared, under: key) }
    case .mapping(let entries):
      // The keys may be the secret: `secret: {hunter2}`.
      if isSecret(declared, under: key), !entries.allSatisfy({ Reading.isKeyOfReference($0.key.value) }) {
        hide(node.range)
      }
      for entry in entries {
        hideSecrets(of: entry.value, declared?.value(of: entry.key.value), under: entry.key.value)
      }
    }
  }
}

extension Node.Scalar {
  fileprivate func mayBeSecret(_ declared: KeyValue?, under key: String?) -> Bool {
    // Somebody may have written the secret itself there.
    if key == VariableName.key { return !VariableName.isLikely(text) }
    // What stands beside a variable that is not set may be a password.
    if key.map(EffectiveScalar.addresses.contains) ?? false {
      return isUnusable || MaskedAddress(text).text != text
    }
    return isSecret(declared, under: key)
  }
}

private func isSecret(_ declared: KeyValue?, under key: String?) -> Bool {
  guard let key, !EffectiveScalar.addresses.contains(key) else { return false }
  // A name of a file is none, unless it is declared to be one.
  return declared?.isSecret ?? (key != "file" && SecretUse.keys.contains(key))
}
