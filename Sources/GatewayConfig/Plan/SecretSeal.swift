import Bytes
import Crypto

/// Tells the files of a running gateway from others, also where only a secret has other contents.
///
/// The contents of secrets go in under a random key that never leaves the process. Whoever sees what comes out learns whether they have
/// changed, and cannot try guesses on it; for the same reason it means nothing to another process.
package struct SecretSeal: Sendable {
  private let key = SymmetricKey(size: .bits256)

  package init() {}

  /// What tells the files of a configuration from others, as text. Without secrets it is their digest.
  package func digest(of configuration: Configuration) -> String {
    let files = configuration.written?.source.files ?? []
    let secrets = files.filter { $0.use == .secret }
    return secrets.isEmpty ? configuration.digest : "\(configuration.digest) \(sealed(secrets))"
  }

  private func sealed(_ secrets: [ReadFile]) -> String {
    var code = HMAC<SHA256>(key: key)
    for secret in secrets {
      code.update(data: [UInt8]("\(secret.path.utf8.count) \(secret.contents.count) \(secret.path)\n".utf8))
      code.update(data: secret.contents)
    }
    return code.finalize().hexadecimal
  }
}
