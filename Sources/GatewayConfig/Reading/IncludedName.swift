extension Reading {
  /// The name of a file behind `include`, or of an app, which may stand in its place at a route.
  ///
  /// - Parameter example: of what to write.
  /// - Returns: nil for what cannot be one, which has been reported.
  func includedName(_ node: Node, example: String) -> String? {
    if node.isNull || node.isEmptyPlain {
      return refuse(
        .wrongType, "expected the name of a file for \"include\", found nothing", at: node.range,
        hint: "write \(example), or remove the key")
    }
    guard let name = word(node, "\"include\"") else { return nil }
    if name.contains("://") {
      return refuse(
        .invalidValue, "\"\(name)\" is an address, and files are included from this machine", at: node.range,
        hint: "download it, and write the name of the file")
    }
    if name.hasPrefix("~") {
      return refuse(
        .invalidValue, "\"\(name)\" begins with \"~\", which only a shell knows", at: node.range,
        hint: "write the whole path, or one that is relative to this file")
    }
    // There may be such a file all the same.
    let path = Paths.named(name, at: node.range)
    guard name.contains(where: { "*?[".contains($0) }), !files.isFile(path) else { return name }
    return refuse(
      .invalidValue, "\"\(name)\" is a pattern, and \"include\" names each file", at: node.range,
      hint: "write the names\(examples(of: path, at: node.range))")
  }

  /// `: auth.yaml, limits.yaml`: the files that a pattern with one `*` in its last part probably means.
  private func examples(of pattern: String, at place: SourceRange) -> String {
    let folder = Paths.directory(of: pattern)
    let parts = Paths.name(of: pattern).split(separator: "*", omittingEmptySubsequences: false)
    guard parts.count == 2, !folder.contains("*") else { return "" }
    let found = files.names(in: folder.isEmpty ? "." : folder).sorted().filter { name in
      name.hasPrefix(parts[0]) && name.hasSuffix(parts[1]) && name.count >= parts[0].count + parts[1].count
    }
    // The file itself is none of them.
    let names = found.map { Paths.written(folder.isEmpty ? $0 : Paths.join(folder, $0), at: place) }
      .filter { Paths.named($0, at: place) != place.file.path }
    let most = 5
    let more = names.count > most ? ", and \(names.count - most) more" : ""
    return names.isEmpty ? "" : ": \(names.prefix(most).joined(separator: ", "))\(more)"
  }
}
