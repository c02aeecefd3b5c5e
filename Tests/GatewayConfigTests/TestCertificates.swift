import Foundation
import LayerTestSupport

@testable import GatewayConfig

/// Certificates for `example.com`, valid until 2120, and their keys: `one.pem` with `one.key`, or with `locked.key` and the passphrase
/// "open", and `other.pem` with `other.key`.
enum TestCertificates {
  static func text(_ name: String) throws -> String {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/certificates")
    return try String(contentsOf: folder.appending(path: name), encoding: .utf8)
  }

  /// Some of them beside a file.
  static func files(_ names: String..., beside file: String) throws -> MemoryFiles {
    var files = ["routes.yaml": file]
    for name in names { files[name] = try text(name) }
    return MemoryFiles(files)
  }
}
