import GatewayConfig

extension Configuration {
  /// Stands for the text of all its files, for people: the first 12 hexadecimal digits of their digest.
  var hash: String { String(digest.prefix(12)) }
}
