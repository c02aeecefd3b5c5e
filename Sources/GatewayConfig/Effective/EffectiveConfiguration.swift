/// What a configuration says, put together from all its files, with the place where each value is written and without its secrets.
package struct EffectiveConfiguration {
  /// A value that an option of the command line puts in place of the file's.
  package struct Override {
    /// The keys that lead to it: `["server", "bind"]`.
    package var path: [String]
    package var values: [String]
    /// `--bind`
    package var option: String

    package init(_ path: [String], _ values: [String], by option: String) {
      self.path = path
      self.values = values
      self.option = option
    }
  }

  let written: WrittenConfiguration
  let root: EffectiveValue

  /// - Parameters:
  ///   - defaults: whether the keys of the top level that stand in no file have their standard values.
  ///
  /// - Returns: nil for one that was not read from files.
  package init?(_ configuration: Configuration, overrides: [Override] = [], defaults: Bool = false) {
    guard let written = configuration.written else { return nil }
    self.written = written
    let reader = EffectiveReader(
      folder: Paths.directory(of: configuration.file.path), namedFiles: written.namedFiles,
      defaults: defaults)
    var root = reader.read(written.document, .mapping(.file), under: nil)
    for override in overrides { root = root.with(override, at: override.path[...]) }
    self.root = root
  }
}

/// A value of the configuration as it is shown.
struct EffectiveValue {
  indirect enum Content {
    case scalar(EffectiveScalar)
    case list([EffectiveValue])
    case mapping([(key: String, value: EffectiveValue)])
    /// The standard value in words.
    case words(String)
  }

  enum Origin: Hashable {
    case place(SourceRange)
    case standard
    /// An option of the command line.
    case option(String)
  }

  var content: Content
  var origin: Origin
  /// What is declared for it; nil for what a template holds.
  var declared: KeyValue?

  fileprivate func with(
    _ override: EffectiveConfiguration.Override, at path: ArraySlice<String>
  ) -> EffectiveValue {
    var changed = self
    guard let key = path.first else {
      let values = override.values.map { text in
        EffectiveValue(
          content: .scalar(EffectiveScalar(text: text, isPlain: true)), origin: .option(override.option),
          declared: declared)
      }
      changed.content = values.count == 1 ? values[0].content : .list(values)
      changed.origin = .option(override.option)
      return changed
    }
    guard case .mapping(var entries) = content else { return self }
    let empty = EffectiveValue(
      content: .mapping([]), origin: .option(override.option), declared: declared?.value(of: key))
    let index = entries.firstIndex { $0.key == key } ?? entries.endIndex
    if index == entries.endIndex { entries.append((key, empty)) }
    entries[index].value = entries[index].value.with(override, at: path.dropFirst())
    changed.content = .mapping(entries)
    return changed
  }
}

/// Reads the tree of a configuration without errors as values to show.
struct EffectiveReader {
  /// The folder of the file itself. Names of files are shown relative to it.
  let folder: String
  let namedFiles: [SourceRange: String]
  let defaults: Bool

  func read(_ node: Node, _ declared: KeyValue?, under key: String?) -> EffectiveValue {
    var value = EffectiveValue(content: .list([]), origin: .place(node.range), declared: declared)
    switch node.content {
    case .scalar(let scalar):
      value.content = .scalar(shown(scalar, at: node.range, declared, under: key))
    case .sequence(let items):
      // One value may stand in place of a list, and has what is declared for it.
      value.content = .list(items.map { read($0, declared?.item ?? declared, under: key) })
    case .mapping(let entries):
      var shown = entries.map {
        ($0.key.value, read($0.value, declared?.value(of: $0.key.value), under: $0.key.value))
      }
      if defaults { shown += standards(of: declared, without: Set(entries.map(\.key.value))) }
      value.content = .mapping(shown)
    }
    return value
  }

  private func shown(
    _ scalar: Node.Scalar, at range: SourceRange, _ declared: KeyValue?, under key: String?
  ) -> EffectiveScalar {
    guard let path = namedFiles[range], let scheme = scheme(before: path, in: scalar.text, at: range) else {
      return EffectiveScalar(scalar, declared, under: key)
    }
    // What a variable holds may be the secret itself, and not the name of its file.
    let isWritten = scalar.origin?.isDefault ?? true
    var shown =
      isWritten
      ? EffectiveScalar(text: scalar.text, isPlain: scalar.style == .plain, variable: scalar.origin)
      : EffectiveScalar(scalar, declared, under: key)
    // The output stands for a file in the folder of the first one.
    if shown.concealed == .nothing, Paths.directory(of: range.file.path) != folder {
      shown.text = scheme + fromFolder(path)
    }
    return shown
  }

  /// What stands before the name of a file: `unix:` before that of a socket.
  ///
  /// - Returns: nil where the text names another one.
  private func scheme(before path: String, in text: String, at range: SourceRange) -> String? {
    ["", "unix:"].first { scheme in
      text.hasPrefix(scheme) && path == Paths.named(String(text.dropFirst(scheme.count)), at: range)
    }
  }

  /// The name of a file for whoever stands in the folder.
  private func fromFolder(_ path: String) -> String {
    if !folder.isEmpty, path.hasPrefix(folder + "/") { return String(path.dropFirst(folder.count + 1)) }
    return folder.isEmpty || path.hasPrefix("/") ? path : Disk().absolute(path)
  }

  // MARK: - What holds where nothing is written

  /// The mappings whose keys can be written out without a change of meaning.
  private static let places: Set<KeyPlace> = [.file, .server, .limits, .shutdown, .logging]

  private func standards(
    of declared: KeyValue?, without given: Set<String>
  ) -> [(key: String, value: EffectiveValue)] {
    guard let place = declared?.mappings.first, Self.places.contains(place) else { return [] }
    return Key.at(place).compactMap { key in
      guard !given.contains(key.name) else { return nil }
      var value = EffectiveValue(content: .mapping([]), origin: .standard, declared: key.value)
      if let inner = key.value.mappings.first, Self.places.contains(inner) {
        value.content = .mapping(standards(of: key.value, without: []))
      } else if let word = key.standardWord {
        value.content = .scalar(EffectiveScalar(text: word, isPlain: true))
      } else if place != .file, !key.standard.isEmpty {
        value.content = .words(key.standard.plain)
      } else {
        return nil
      }
      return (key.name, value)
    }
  }
}
