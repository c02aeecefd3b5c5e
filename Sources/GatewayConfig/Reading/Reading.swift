/// One run of the loader: it collects the findings, and has the files and variables.
final class Reading {
  var findings = Findings()
  let files: any FileAccess
  let environment: [String: String]
  let secrets: SecretUse
  /// The file named on the command line.
  let mainPath: String
  /// The addresses of `server` that the file names itself; upstreams must be others.
  var ownAddresses: [BindAddress] = []
  private var sources: [String: Node?] = [:]
  /// Findings about the text of the files, before any key was read.
  private var documentFindings = Findings()
  var corrections = Corrections()

  init(mainPath: String, files: any FileAccess, environment: [String: String], secrets: SecretUse = .read) {
    self.mainPath = mainPath
    self.files = files
    self.environment = environment
    self.secrets = secrets
  }

  /// Reads a YAML file. A file that is read again comes from memory, so that its findings are reported once.
  ///
  /// - Parameter place: where the file is named; nil for the one on the command line.
  func document(_ path: String, namedAt place: SourceRange?) -> Node? {
    if let known = sources[path] { return known }
    var found = Findings()
    let node = readDocument(path, namedAt: place, &found)
    documentFindings.merge(found)
    findings.merge(found)
    sources[path] = node
    return node
  }

  /// Reports an error in place of a value.
  ///
  /// - Returns: nil.
  func refuse<Value>(
    _ code: FindingCode, _ message: String, at range: SourceRange?, hint: String? = nil,
    related: [Finding.Related] = []
  ) -> Value? {
    findings.error(code, message, at: range, hint: hint, related: related)
    return nil
  }

  // MARK: - Reading anew

  /// How often the files are read at most. Each round reaches the values under one more level of misspelt keys.
  private static let mostRounds = 6

  /// Whether to read the files again with the corrections that the last round found.
  ///
  /// The value under a misspelt key is then read as if the key were right. The findings begin anew: those that only followed
  /// from the mistake are gone, the mistake itself stays.
  func beginsAnew() -> Bool {
    guard findings.hasRoomForErrors, corrections.beginRound(atMost: Self.mostRounds) else { return false }
    findings = documentFindings
    for finding in corrections.findings { findings.add(finding) }
    return true
  }

  private func readDocument(_ path: String, namedAt place: SourceRange?, _ findings: inout Findings) -> Node?
  {
    switch files.contents(of: path, as: place == nil ? .configuration : .include) {
    case .success(let text):
      // Some editors put a byte order mark at the beginning, which is not part of the text.
      let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
      let file = SourceFile(path: path, text: text.starts(with: mark) ? Array(text.dropFirst(3)) : text)
      return YAMLReader.read(
        file, variables: Variables(environment, secrets: secrets), findings: &findings)
    case .failure(let fault):
      findings.error(
        .unreadableFile, "\"\(path)\" cannot be read: \(fault.message)", at: place,
        hint: files.isDirectory(path) ? fileInside(path) : nearestFile(path))
      return nil
    }
  }

  /// The hint for a folder in place of a file: the configuration in it.
  private func fileInside(_ folder: String) -> String {
    let found = files.names(in: folder).filter { $0.hasSuffix(".yaml") || $0.hasSuffix(".yml") }
    let name = found.first { $0 == "routes.yaml" } ?? (found.count == 1 ? found.first : nil)
    return name.map { "did you mean \"\(Paths.join(folder, $0))\"?" } ?? "name a file in it"
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
  /// The kind of value, for sentences.
  var kind: String {
    switch self {
    case .scalar(let scalar): scalar.style == .plain && scalar.text.isEmpty ? "nothing" : "a single value"
    case .sequence: "a list"
    case .mapping: "a mapping"
    }
  }
}
