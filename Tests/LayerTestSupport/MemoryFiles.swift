package import GatewayConfig

/// Files that are in memory only, by their paths.
package struct MemoryFiles: FileAccess {
  private let files: [String: String]
  /// Where all other files are; nil for nowhere.
  private let others: (any FileAccess)?

  package init(_ files: [String: String], over others: (any FileAccess)? = nil) {
    self.files = files
    self.others = others
  }

  /// Only `routes.yaml`.
  package init(text: String, over others: (any FileAccess)? = nil) {
    self.init(["routes.yaml": text], over: others)
  }

  package func contents(of path: String, as use: FileUse) -> Result<[UInt8], FileFault> {
    if let text = files[path] { return .success(Array(text.utf8)) }
    return others?.contents(of: path, as: use) ?? .failure(FileFault("there is no such file"))
  }

  package func fault(of path: String, as use: FileUse) -> FileFault? {
    files[path] == nil ? others?.fault(of: path, as: use) : nil
  }

  package func isFile(_ path: String) -> Bool { files[path] != nil || others?.isFile(path) ?? false }
  package func resolved(_ path: String) -> String? { others?.resolved(path) }
  package func isDirectory(_ path: String) -> Bool { others?.isDirectory(path) ?? false }
  package func names(in directory: String) -> [String] { others?.names(in: directory) ?? [] }
  package func isReadableByAll(_ path: String) -> Bool { others?.isReadableByAll(path) ?? false }
  package func absolute(_ path: String) -> String { others?.absolute(path) ?? "/" + path }
}

extension ConfigurationLoader {
  /// Loads a text as if it were `routes.yaml` in the working folder.
  package static func load(text: String, environment: [String: String] = [:]) -> LoadedConfiguration {
    load(path: "routes.yaml", environment: environment, files: MemoryFiles(text: text, over: Disk()))
  }

  /// - Throws: the findings, where the text is no valid configuration.
  package static func configuration(
    of text: String, environment: [String: String] = [:]
  ) throws -> Configuration {
    let loaded = load(text: text, environment: environment)
    guard let configuration = loaded.configuration else {
      throw Unreadable(description: loaded.report.rendered(.text))
    }
    return configuration
  }

  private struct Unreadable: Error, CustomStringConvertible {
    var description: String
  }
}
