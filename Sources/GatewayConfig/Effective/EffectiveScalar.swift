/// A single value as it may be shown to everyone.
struct EffectiveScalar: Equatable {
  /// How much of it is not shown.
  enum Concealment {
    case nothing
    /// A password in an address.
    case part
    case whole
    /// Its variable stands for it: `${NAME}`.
    case value
  }

  var text: String
  /// Whether it stands without quotes.
  var isPlain: Bool
  var variable: Node.Origin?
  var concealed = Concealment.nothing

  /// What stands for something that is not shown.
  static let stars = "***"
}

extension EffectiveScalar {
  /// - Parameters:
  ///   - declared: what may stand there; nil for a part of a template.
  ///   - key: the key that it stands under.
  init(_ scalar: Node.Scalar, _ declared: KeyValue?, under key: String?) {
    self.init(text: scalar.text, isPlain: scalar.style == .plain, variable: scalar.origin)
    // Without quotes it may be read as something else, but not where only one thing may stand.
    if scalar.origin != nil, declared?.isMeasure == true { isPlain = true }
    let isAddress = key.map(Self.addresses.contains) ?? false
    if scalar.isUnusable {
      conceal()
    } else if declared?.isSecret == true, !isAddress {
      if !scalar.text.isEmpty { conceal() }
    } else if key == VariableName.key, !VariableName.isLikely(scalar.text) {
      conceal()
    } else if let origin = scalar.origin, !origin.isDefault, !isAddress, !Self.isOpen(declared, under: key) {
      conceal()
    } else {
      let masked = MaskedAddress(scalar.text)
      if masked.text != text {
        text = masked.text
        concealed = .part
      }
    }
  }

  /// The keys of addresses that may have a password, of which everything else is shown.
  static let addresses: Set = ["hosts", "address", "url", "jwks", "proxy", "to"]

  /// Shows its variable, or nothing of it.
  private mutating func conceal() {
    isPlain = false
    if let variable, !variable.isDefault {
      text = "${\(variable.variable)}"
      concealed = .value
    } else {
      text = Self.stars
      concealed = .whole
    }
  }

  /// Whether a value that a variable holds may be shown: it is one of a closed set, or stands under a key that has no secrets.
  private static func isOpen(_ declared: KeyValue?, under key: String?) -> Bool {
    if let key, KeysWithoutSecrets.contains(key, isWhole: true) { return true }
    return declared?.forms.allSatisfy { form in
      switch form {
      case .only, .choice, .truth, .integer, .time, .size, .form, .nothing: true
      case .text, .word, .json, .mapping, .list, .named, .either: false
      }
    } ?? false
  }
}

extension KeyValue {
  /// Whether it takes nothing but numbers, times, sizes and truth values.
  fileprivate var isMeasure: Bool {
    forms.allSatisfy { form in
      switch form {
      case .truth, .integer, .time, .size: true
      case .text, .word, .only, .choice, .form, .nothing, .json, .mapping, .list, .named, .either: false
      }
    }
  }
}

/// An address without its password, and without the values of parameters that are likely one.
struct MaskedAddress {
  private(set) var text: String

  init(_ text: String) {
    self.text = text
    guard let scheme = text.firstRange(of: "://") else { return }
    let rest = text[scheme.upperBound...]
    let query = rest.firstIndex(of: "?") ?? rest.endIndex
    let place = Self.withoutPassword(String(rest[..<query]))
    self.text = text[..<scheme.upperBound] + place + Self.withoutSecrets(rest[query...])
  }

  /// `user:***@host` of `user:password@host`. A name without a password may be a token, so nothing of it is shown.
  private static func withoutPassword(_ place: String) -> String {
    let authority = place.prefix { $0 != "/" }
    // A password with a "/" in it ends at an "@" behind that.
    let port = authority.hasPrefix("[") ? nil : authority.firstIndex(of: ":")
    let isPort = port.map { Int(authority[authority.index(after: $0)...]) != nil } ?? true
    let known = authority.lastIndex(of: "@") ?? (isPort ? nil : place.lastIndex(of: "@"))
    guard let end = known else { return place }
    let user = place[..<end].prefix { $0 != ":" }
    let hasPassword = user.endIndex < end
    return (hasPassword ? "\(user):" : "") + EffectiveScalar.stars + place[end...]
  }

  private static let names = ["password", "passwd", "pwd", "token", "secret", "key", "signature", "sig"]

  private static func withoutSecrets(_ query: Substring) -> String {
    query.split(separator: "&", omittingEmptySubsequences: false).map { part in
      guard let equals = part.firstIndex(of: "=") else { return String(part) }
      let name = part[..<equals].drop { $0 == "?" }.lowercased()
      let value = part[part.index(after: equals)...]
      let isSecret = names.contains { name == $0 || name.hasSuffix("_" + $0) || name.hasSuffix("-" + $0) }
      // A place for a capture is none.
      guard isSecret, !value.isEmpty, !value.hasPrefix("{") else { return String(part) }
      return part[...equals] + EffectiveScalar.stars
    }.joined(separator: "&")
  }
}
