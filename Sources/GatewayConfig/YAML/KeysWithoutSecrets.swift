import Bytes

/// The keys whose values hold no secrets, so that a finding may repeat a part of such a value.
enum KeysWithoutSecrets {
  private static let names: Set = [
    "bind", "path", "re_path", "name", "consumer", "include", "group", "groups", "subscribe", "to", "proxy",
    "redirect",
    "static", "folder", "fallback", "prefix", "installed_apps", "allowed_hosts", "subprotocols",
    "trusted_proxies",
    "level", "format", "admin", "certificate", "message", "send_queue", "ping", "grace",
  ]
  /// The values are addresses, and a part of an address may be a password.
  private static let addresses: Set = ["hosts", "address", "url", "jwks"]

  /// - Parameter isWhole: whether the finding repeats the whole value, and it is one word.
  static func contains(_ key: String, isWhole: Bool) -> Bool {
    names.contains(key) || isWhole && addresses.contains(key)
  }
}

/// The names of environment variables, as they are written in the file.
enum VariableName {
  /// The key under which a secret names its variable.
  static let key = "env"
  private static let longest = 64
  private static let longestWord = 20

  /// Whether a finding may repeat a text that stands where the name of a variable is expected.
  ///
  /// Somebody may have written the secret itself there, so only what looks like a name is repeated.
  static func isLikely(_ text: String) -> Bool {
    guard let first = text.utf8.first, !first.isDigit, text.utf8.count <= longest,
      text.utf8.allSatisfy({ $0.isLetterOrDigit || $0 == UInt8(ascii: "_") })
    else { return false }
    return text.utf8.count < longestWord || text.utf8.contains(UInt8(ascii: "_"))
      || !text.utf8.contains(where: \.isDigit)
  }
}

extension UInt8 {
  /// Whether names of keys and of captures consist of such characters.
  var isOfKey: Bool { isLowercaseLetter || self == UInt8(ascii: "_") }
}
