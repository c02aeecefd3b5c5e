import Bytes
import Crypto
package import JSON

/// A file that was read for a configuration.
package struct ReadFile: Sendable, Hashable {
  /// As it was named, relative to the working directory if possible.
  package var path: String
  package var use: FileUse
  package var contents: [UInt8]
  /// Whether it was named with `-f`.
  package var isOverlay = false
  /// SHA-256 of its contents, in hexadecimal digits. Nil for a secret: whoever knows the hash of a short one can guess it.
  package var digest: String?
}

/// Files that remember what was read of them.
final class ReadFiles: FileAccess {
  private let files: any FileAccess
  /// In the order in which they were read first; each once.
  private(set) var all: [ReadFile] = []

  init(_ files: any FileAccess) {
    self.files = files
  }

  func contents(of path: String, as use: FileUse) -> Result<[UInt8], FileFault> {
    let result = files.contents(of: path, as: use)
    if case .success(let bytes) = result {
      let read = ReadFile(
        path: path, use: use, contents: bytes, digest: use == .secret ? nil : Self.digest(of: bytes))
      if let known = all.firstIndex(where: { $0.path == path && $0.use == use }) {
        all[known] = read
      } else {
        all.append(read)
      }
    }
    return result
  }

  func fault(of path: String, as use: FileUse) -> FileFault? { files.fault(of: path, as: use) }
  func isDirectory(_ path: String) -> Bool { files.isDirectory(path) }
  func isFile(_ path: String) -> Bool { files.isFile(path) }
  func names(in directory: String) -> [String] { files.names(in: directory) }
  func absolute(_ path: String) -> String { files.absolute(path) }
  func resolved(_ path: String) -> String? { files.resolved(path) }
  func isReadableByAll(_ path: String) -> Bool { files.isReadableByAll(path) }

  private static func digest(of bytes: [UInt8]) -> String {
    var hash = SHA256()
    hash.update(data: bytes)
    return hash.finalize().hexadecimal
  }
}

extension [ReadFile] {
  /// One hash of all files, which is another one when a file has changed, is new or is gone. Secrets are not part of it.
  ///
  /// - Returns: SHA-256, in hexadecimal digits.
  package var digest: String {
    var hash = SHA256()
    for file in self {
      guard let digest = file.digest else { continue }
      hash.update(data: [UInt8]("\(digest) \(file.path.utf8.count) \(file.path)\n".utf8))
    }
    return hash.finalize().hexadecimal
  }
}

extension ReadFile {
  /// The first 12 digits of the digest, for people.
  package var shortDigest: String? { digest.map { String($0.prefix(12)) } }

  /// What it is for, in a word.
  package var role: String { isOverlay ? "overlay" : "\(use)" }

  package var json: JSON {
    let head: JSON = ["path": .string(path), "use": .string(role)]
    return digest.map { head.with(["sha256": .string($0)]) } ?? head
  }
}
