import JSON

// Whatever a file holds, it is read within bounds, everything said about it is said of a place in it, and can be printed in every
// form.
//
// Input: a file. The sources of the reader and of the findings are compiled with this file.
func fuzz(_ input: [UInt8]) {
  let file = SourceFile(path: "routes.yaml", text: input)
  var findings = Findings()
  let variables = Variables(["NAME": "value", "EMPTY": ""])
  let root = YAMLReader.read(file, variables: variables, findings: &findings)
  expect(root != nil || findings.hasErrors, "there is no node, and nothing is said about it")
  expect(findings.all.count <= input.count + 1, "\(findings.all.count) findings in \(input.count) bytes")
  if let root {
    var count = 0
    check(root, depth: 1, &count)
    expect(count <= YAMLReader.Bounds.nodes, "\(count) nodes")
  }
  for finding in findings.all {
    if let range = finding.range { check(range) }
    for related in finding.related { check(related.range) }
  }
  checkPrinting(FindingReport(path: file.path, findings: findings.all))
}

private func check(_ node: Node, depth: Int, _ count: inout Int) {
  count += 1
  check(node.range)
  // A value that an alias repeats stands deeper than where it was written.
  expect(depth <= 2 * YAMLReader.Bounds.depth, "nested \(depth) deep")
  switch node.content {
  case .scalar: break
  case .sequence(let items):
    for item in items { check(item, depth: depth + 1, &count) }
  case .mapping(let entries):
    expect(Set(entries.map(\.key.value)).count == entries.count, "a key stands twice")
    for entry in entries {
      check(entry.key.range)
      checkPlace(of: entry.key)
      check(entry.value, depth: depth + 1, &count)
    }
  }
}

/// What stands at the place of a key that is written as it is, is the key.
private func checkPlace(of key: Located<String>) {
  let (start, end) = (key.range.start, key.range.end)
  let file = key.range.file
  guard start.line == end.line, (1...file.lineStarts.count).contains(start.line) else { return }
  let line = file.text(ofLine: start.line, 0..<file.characterCount(ofLine: start.line)).unicodeScalars.map(
    \.self)
  // Places beyond the text are another check's finding.
  guard start.column <= end.column, end.column <= line.count + 1 else { return }
  let written = line[(start.column - 1)..<(end.column - 1)]
  // Quotes, blocks, anchors and tags are part of the place, and libyaml folds a key at line ends of its own.
  let isPlain = written.first.map { !"\"'|>&!".unicodeScalars.contains($0) } ?? true
  guard isPlain, !written.contains(where: { "\u{85}\u{2028}\u{2029}".unicodeScalars.contains($0) }) else {
    return
  }
  expect(written.elementsEqual(key.value.unicodeScalars), "the key \(key.value) stands at \(written)")
}

private func check(_ range: SourceRange) {
  check(range.start, in: range.file)
  check(range.end, in: range.file)
  let isOrdered = (range.start.line, range.start.column) <= (range.end.line, range.end.column)
  expect(isOrdered, "a range from \(range.start) to \(range.end)")
}

/// A place is a character of a line, or right behind its last.
private func check(_ place: SourcePosition, in file: SourceFile) {
  expect((1...file.lineStarts.count).contains(place.line), "\(place) is not in the file")
  let start = file.lineStarts[place.line - 1]
  let end = place.line < file.lineStarts.count ? file.lineStarts[place.line] : file.text.count
  let characters = file.text[start..<end].count { $0 & 0xC0 != 0x80 }
  expect((1...characters + 1).contains(place.column), "\(place) is not in its line of \(characters)")
}

private func checkPrinting(_ report: FindingReport) {
  for format in FindingFormat.allCases {
    let text = Array(report.rendered(format).utf8)
    switch format {
    case .json, .sarif:
      let document = unsafe try? JSON.parse(text.span.bytes)
      expect(document != nil, "a report that is no JSON")
    case .text:
      expect(text.allSatisfy { $0 >= 0x20 || $0 == 0x0A }, "a report with control characters")
    case .github:
      let lines = text.count { $0 == 0x0A }
      expect(
        lines == report.findings.count && !text.contains(0x0D),
        "\(lines) lines for \(report.findings.count) findings")
    }
  }
}
