/// One run of the loader: where findings are collected, and what files and variables are read from.
final class Reading {
  var findings = Findings()
  let files: any FileAccess
  let environment: [String: String]
  /// The file named on the command line.
  let mainPath: String
  private var sources: [String: Node?] = [:]

  init(mainPath: String, files: any FileAccess, environment: [String: String]) {
    self.mainPath = mainPath
    self.files = files
    self.environment = environment
  }

  /// Reads a YAML file; a second time it is taken from memory, so that its findings come once.
  ///
  /// - Parameter place: where the file is named; nil for the one on the command line.
  func document(_ path: String, namedAt place: SourceRange?) -> Node? {
    if let known = sources[path] { return known }
    let node = readDocument(path, namedAt: place)
    sources[path] = node
    return node
  }

  private func readDocument(_ path: String, namedAt place: SourceRange?) -> Node? {
    switch files.contents(of: path, as: place == nil ? .configuration : .include) {
    case .success(let text):
      // Some editors put a byte order mark in front, which is no part of the text.
      let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
      let file = SourceFile(path: path, text: text.starts(with: mark) ? Array(text.dropFirst(3)) : text)
      return YAMLReader.read(file, variables: Variables(environment), findings: &findings)
    case .failure(let fault):
      findings.error(
        .unreadableFile, "\"\(path)\" cannot be read: \(fault.message)", at: place, hint: nearestFile(path))
      return nil
    }
  }

  func nearestFile(_ path: String) -> String? {
    let directory = Paths.directory(of: path)
    let names = files.names(in: directory.isEmpty ? "." : directory)
    let name = Paths.name(of: path)
    return NearestName.of(name, in: names.filter { $0 != name }).map {
      "did you mean \"\(directory.isEmpty ? $0 : Paths.join(directory, $0))\"?"
    }
  }
}

extension Node.Content {
  /// What the operator wrote, in words.
  var kind: String {
    switch self {
    case .scalar(let scalar): scalar.style == .plain && scalar.text.isEmpty ? "nothing" : "a single value"
    case .sequence: "a list"
    case .mapping: "a mapping"
    }
  }
}
