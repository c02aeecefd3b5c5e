@testable import GatewayConfig

/// Files that are in memory only, by their paths.
struct MemoryFiles: FileAccess {
  var files: [String: String]

  init(_ files: [String: String]) {
    self.files = files
  }

  /// Only `routes.yaml`.
  init(text: String) {
    files = ["routes.yaml": text]
  }

  func contents(of path: String, as use: FileUse) -> Result<[UInt8], FileFault> {
    files[path].map { .success(Array($0.utf8)) } ?? .failure(FileFault("there is no such file"))
  }

  func isDirectory(_ path: String) -> Bool { false }
  func names(in directory: String) -> [String] { [] }
  func isReadableByAll(_ path: String) -> Bool { false }
  func absolute(_ path: String) -> String { "/" + path }
}
