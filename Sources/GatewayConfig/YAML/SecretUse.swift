/// Whether the secrets of a file have to be there when it is read. Without them, a configuration may lack authenticators and tokens: it
/// can be looked at, and must not be served.
package enum SecretUse: Sendable {
  /// An unset variable, or a missing file of a secret, is an error.
  case read
  /// Neither is an error, and no variable has to be set: the file is checked in a place without them.
  case unread
  /// Neither is an error, but every other variable has to be set: the routes are shown as they are.
  case unreadAlone
  /// Neither is an error, and the name stands for a secret that is missing, so that two files can be compared. Every other variable has
  /// to be set.
  case named

  /// The keys whose values are secrets, or hold one, and which change nothing of the routes.
  static let keys: Set = [
    "secret", "token", "key", "password", "passphrase", "symmetric_encryption_keys", "hosts", "address",
    "public_key", VariableName.key, "file",
  ]

  /// Whether a variable that is not set may stand there.
  ///
  /// - Parameter key: nil where it stands under none.
  func acceptsUnset(under key: String?) -> Bool {
    switch self {
    case .read: false
    case .unread: true
    case .unreadAlone, .named: key.map(Self.keys.contains) ?? false
    }
  }
}
