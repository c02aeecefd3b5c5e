/// Puts mappings of several files together that are parts of one whole: each key is written in one of them.
struct Union {
  private(set) var findings = Findings()

  /// Both mappings as one. Mappings below the same key become one, too; anything else that both have is reported, and the first stays.
  mutating func united(_ one: Node, _ other: Node) -> Node {
    united(one, other, .mapping(.file), [])
  }

  private mutating func united(_ one: Node, _ other: Node, _ value: KeyValue?, _ path: [String]) -> Node {
    var entries = one.entries ?? []
    let places = Dictionary(
      entries.enumerated().map { ($1.key.value, $0) }, uniquingKeysWith: { first, _ in first })
    for entry in other.entries ?? [] {
      let name = entry.key.value
      guard let index = places[name] else {
        entries.append(entry)
        continue
      }
      let inner = value?.value(of: name)
      if entries[index].value.entries != nil, entry.value.entries != nil, inner?.isSecret != true {
        entries[index].value = united(entries[index].value, entry.value, inner, path + [name])
      } else {
        findings.hideSecrets(of: entry.value, inner, under: name)
        findings.error(
          .duplicateKey, "\"\((path + [name]).joined(separator: "."))\" is given in two files",
          at: entry.key.range,
          hint: "remove one of them; what one environment changes stands in a file for -f",
          related: [.init("the first one", at: entries[index].key.range)])
      }
    }
    var whole = one
    whole.content = .mapping(entries)
    return whole
  }
}
