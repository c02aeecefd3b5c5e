/// One run of the loader: where findings are collected, and what files and variables are read from.
final class Reading {
  var findings = Findings()
  let files: any FileAccess
  let environment: [String: String]
  /// Whether a secret that is not there is no finding: the file is checked where its secrets are not known.
  let isWithoutSecrets: Bool
  /// The file named on the command line.
  let mainPath: String
  private var sources: [String: Node?] = [:]
  /// What was found in the text of the files, before any key was looked at.
  private var documentFindings = Findings()
  private(set) var corrections = Corrections()

  init(mainPath: String, files: any FileAccess, environment: [String: String], isWithoutSecrets: Bool = false)
  {
    self.mainPath = mainPath
    self.files = files
    self.environment = environment
    self.isWithoutSecrets = isWithoutSecrets
  }

  /// Reads a YAML file; a second time it is taken from memory, so that its findings come once.
  ///
  /// - Parameter place: where the file is named; nil for the one on the command line.
  func document(_ path: String, namedAt place: SourceRange?) -> Node? {
    if let known = sources[path] { return known }
    let earlier = findings
    findings = Findings()
    let node = readDocument(path, namedAt: place)
    documentFindings.merge(findings)
    let found = findings
    findings = earlier
    findings.merge(found)
    sources[path] = node
    return node
  }

  // MARK: - Reading anew

  /// How often the files are read at most: each time shows what stands under one more level of misspelt keys.
  private static let mostRounds = 6

  /// Whether the files are to be read once more, with what was found out about misspelt keys since the last time.
  ///
  /// The value under a misspelt key is then read as if the key were right. The findings begin anew: what only followed from the
  /// slip is gone, the slip itself stays.
  func beginsAnew() -> Bool {
    guard findings.hasRoomForErrors, corrections.beginRound(atMost: Self.mostRounds) else { return false }
    findings = documentFindings
    for finding in corrections.findings { findings.add(finding) }
    return true
  }

  /// A key is taken for another one from the next round on.
  func correct(_ entry: Node.Entry, to name: String, _ finding: Finding) {
    corrections.rename(entry, to: name, finding)
  }

  /// An entry is taken for one of another mapping from the next round on.
  func move(_ entry: Node.Entry, into mapping: Node, _ finding: Finding) {
    corrections.move(entry, into: mapping, finding)
  }

  /// The keys that a mapping has, for those that stand one level too high.
  func remember(_ mapping: Node, _ what: String, _ keys: Set<String>) {
    corrections.remember(mapping, what, keys)
  }

  private func readDocument(_ path: String, namedAt place: SourceRange?) -> Node? {
    switch files.contents(of: path, as: place == nil ? .configuration : .include) {
    case .success(let text):
      // Some editors put a byte order mark in front, which is no part of the text.
      let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
      let file = SourceFile(path: path, text: text.starts(with: mark) ? Array(text.dropFirst(3)) : text)
      return YAMLReader.read(
        file, variables: Variables(environment, isWithoutSecrets: isWithoutSecrets), findings: &findings)
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
