/// One run of the loader: it collects the findings, and has the files and variables.
final class Reading {
  var findings = Findings()
  let files: any FileAccess
  let environment: [String: String]
  let secrets: SecretUse
  /// Whether the variables are those of a gateway that runs, which no shell can set any more.
  let isRunning: Bool
  /// The files that the configuration was put together from, apart from those with routes.
  var settingsFiles: Set<String> = []
  /// The files and folders that values name, by the place of the value. They are relative to the working directory if possible.
  private(set) var namedFiles: [SourceRange: String] = [:]
  /// What the files that are laid over the file have removed.
  var removals = Overlay.Removals()
  /// The addresses of `server` that the file names itself; upstreams must be others.
  var ownAddresses: [BindAddress] = []
  private var sources: [String: Node?] = [:]
  /// Findings about the text of the files, before any key was read.
  private var documentFindings = Findings()
  var corrections = Corrections()

  init(
    files: any FileAccess, environment: [String: String], secrets: SecretUse = .read, isRunning: Bool = false
  ) {
    self.files = files
    self.isRunning = isRunning
    self.environment = environment
    self.secrets = secrets
  }

  /// Where a file with YAML is named.
  enum Document {
    /// On the command line, as the file itself.
    case configuration
    /// On the command line, with `-f`.
    case overlay
    /// In a file. What to write where it is empty.
    case include(SourceRange, ifEmpty: String)
  }

  /// Reads a YAML file. A file that is read again comes from memory, so that its findings are reported once.
  func document(_ path: String, as role: Document) -> Node? {
    if let known = sources[path] { return known }
    var found = Findings()
    let node = readDocument(path, as: role, &found)
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

  /// Hides the secrets of files that nothing reads, because one of them cannot be used.
  func hideSecrets() {
    for case let node? in sources.values { findings.hideSecrets(of: node, .mapping(.file), under: nil) }
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

  /// The path of a file or a folder that a value names: it is relative to the file that names it.
  func place(of name: String, at range: SourceRange) -> String {
    let path = Paths.named(name, at: range)
    namedFiles[range] = path
    return path
  }

  private func readDocument(_ path: String, as role: Document, _ findings: inout Findings) -> Node? {
    let place: SourceRange? = if case .include(let place, _) = role { place } else { nil }
    switch files.contents(of: path, as: place == nil ? .configuration : .include) {
    case .success(let text):
      // Some editors put a byte order mark at the beginning, which is not part of the text.
      let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
      let file = SourceFile(path: path, text: text.starts(with: mark) ? Array(text.dropFirst(3)) : text)
      return YAMLReader.read(
        file, variables: Variables(environment, secrets: secrets, isRunning: isRunning), findings: &findings,
        ifEmpty: role.hintIfEmpty)
    case .failure(let fault):
      findings.error(
        .unreadableFile, "\"\(path)\" cannot be read: \(fault.message)", at: place,
        hint: files.isDirectory(path) ? fileInside(path, at: place) : nearestFile(path, at: place))
      return nil
    }
  }

  /// The hint for a folder in place of a file: the configuration in it.
  private func fileInside(_ folder: String, at place: SourceRange?) -> String {
    let found = files.names(in: folder).filter { $0.hasSuffix(".yaml") || $0.hasSuffix(".yml") }
    let name = found.first { $0 == "routes.yaml" } ?? (found.count == 1 ? found.first : nil)
    return name.map { Self.question(Paths.join(folder, $0), at: place) } ?? "name a file in it"
  }

  /// - Parameter place: where the file is named; nil for the command line.
  private static func question(_ path: String, at place: SourceRange?) -> String {
    "did you mean \"\(place.map { Paths.written(path, at: $0) } ?? path)\"?"
  }

  func nearestFile(_ path: String, at place: SourceRange?) -> String? {
    let directory = Paths.directory(of: path)
    let names = files.names(in: directory.isEmpty ? "." : directory)
    let name = Paths.name(of: path)
    return NearestName.of(name, in: names.filter { $0 != name }).map {
      Self.question(directory.isEmpty ? $0 : Paths.join(directory, $0), at: place)
    }
  }
}

extension Reading.Document {
  fileprivate var hintIfEmpty: String {
    switch self {
    case .configuration: "begin with installed_apps and applications"
    case .include(_, let hint): hint
    case .overlay: "write {} for a file that changes nothing"
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
