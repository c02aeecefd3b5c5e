import Bytes

/// Replaces `${NAME}` and `${NAME:-default}` in plain and double-quoted values; `$${` stands for a literal `${`.
///
/// As in a shell, the default also replaces a variable that is set to an empty text.
struct Variables: Sendable {
  private let environment: [String: String]
  private let secrets: SecretUse
  private let isRunning: Bool

  /// - Parameter isRunning: whether they are those of a gateway that runs, which no shell can set any more.
  init(_ environment: [String: String], secrets: SecretUse = .read, isRunning: Bool = false) {
    self.environment = environment
    self.secrets = secrets
    self.isRunning = isRunning
  }

  /// What is wrong with a variable that is needed.
  static func unset(_ name: String, isRunning: Bool) -> String {
    "the environment variable \"\(name)\" is not set\(isRunning ? " in the gateway, whose environment is that of its start" : "")"
  }

  static func remedy(isRunning: Bool) -> String {
    isRunning ? "set it where the gateway is started, and restart it" : "set it"
  }

  /// A variable that may be unset, and is, stays as it is written where two files are compared by their names.
  ///
  /// - Parameter key: the key that the value stands under.
  func replace(
    in scalar: inout Node.Scalar, under key: String?, at range: SourceRange, _ findings: inout Findings
  ) {
    guard scalar.text.contains("${") else { return }
    var rest = scalar.text[...]
    var result = ""
    while let start = rest.firstRange(of: "${") {
      var before = rest[..<start.lowerBound]
      if before.hasSuffix("$") {
        before.removeLast()
        result += before + "${"
        rest = rest[start.upperBound...]
        continue
      }
      result += before
      guard let end = rest[start.upperBound...].firstIndex(of: "}") else {
        findings.error(
          .invalidValue, "\"${\" is not closed by \"}\"", at: range, hint: "write \"$${\" for the text itself"
        )
        scalar.isUnusable = true
        return
      }
      let inner = rest[start.upperBound..<end]
      guard !inner.contains("${") else {
        findings.error(
          .invalidValue, "a default cannot contain another variable", at: range,
          hint: "write the default out")
        scalar.isUnusable = true
        return
      }
      let separator = inner.firstRange(of: ":-")
      let name = String(separator.map { inner[..<$0.lowerBound] } ?? inner)
      let fallback = separator.map { String(inner[$0.upperBound...]) }
      result += value(of: name, default: fallback, &scalar, under: key, at: range, &findings)
      rest = rest[rest.index(after: end)...]
    }
    scalar.text = result + rest
  }

  private func value(
    of name: String, default fallback: String?, _ scalar: inout Node.Scalar, under key: String?,
    at range: SourceRange, _ findings: inout Findings
  ) -> String {
    if let value = environment[name], !(value.isEmpty && fallback != nil) {
      scalar.origin = Node.Origin(variable: name, isDefault: false)
      return value
    }
    if let fallback {
      scalar.origin = Node.Origin(variable: name, isDefault: true)
      return fallback
    }
    scalar.isUnusable = true
    // What stands between the braces may be a part of a secret.
    if VariableName.isLikely(name) { scalar.origin = Node.Origin(variable: name, isDefault: false) }
    guard !secrets.acceptsUnset(under: key) else { return secrets == .named ? "${\(name)}" : "" }
    // What stands between the braces may be a part of a secret.
    guard VariableName.isLikely(name) || key.map({ KeysWithoutSecrets.contains($0, isWhole: false) }) ?? false
    else {
      findings.error(
        .undefinedVariable, "the text between \"${\" and \"}\" is not the name of a variable that is set",
        at: range,
        hint: "write \"$${\" for the text itself")
      return ""
    }
    guard key != VariableName.key else {
      findings.error(
        .undefinedVariable, "\"env\" takes the name of a variable, and \"${\(name)}\" stands for its value",
        at: range,
        hint: "write env: \(name), without \"$\"")
      return ""
    }
    findings.error(
      .undefinedVariable, Self.unset(name, isRunning: isRunning), at: range,
      hint: name.utf8.contains(where: \.isLowercaseLetter)
        ? "a capture of the path is written {\(name)}; a variable can have a default: ${\(name):-value}"
        : "\(Self.remedy(isRunning: isRunning)), or give a default: ${\(name):-value}")
    return ""
  }
}
