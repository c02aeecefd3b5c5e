import Bytes

/// A mistake that makes a text invalid YAML, and the edits that remove it.
struct SyntaxRepair {
  var message: String
  var hint: String?
  /// In bytes of the text before the repair.
  var place: Range<Int>
  var edits: [RepairedText.Edit]

  /// The error of the YAML parser.
  struct Complaint {
    var problem: String
    var context: String
    /// Where the parser stopped, and where the enclosing construct began. Bytes.
    var place: Int
    var contextPlace: Int
  }

  /// Finds spaces that YAML does not accept as spaces: before the first character of a line, and after its last one.
  ///
  /// All of a file are reported as one mistake, because an editor or a web page has put them there.
  static func blanks(in text: RepairedText) -> SyntaxRepair? {
    guard text.bytes.contains(where: { $0 >= 0x80 }) else { return nil }
    var edits: [RepairedText.Edit] = []
    var first: (place: Range<Int>, Lookalike)?
    var lines = 0
    var start = 0
    while start < text.bytes.count {
      let line = text.line(at: start)
      let before = edits.count
      var offset = line.lowerBound
      while offset < line.upperBound {
        if text.bytes[offset] == UInt8(ascii: " ") {
          offset += 1
          continue
        }
        guard let scalar = scalar(at: offset, text.bytes), Lookalike.isBlank(scalar),
          let found = Lookalike(scalar)
        else { break }
        let length = String(scalar).utf8.count
        edits.append(.init(offset: offset, removed: length, inserted: found.plain))
        if first == nil { first = (offset..<(offset + length), found) }
        offset += length
      }
      if edits.count > before { lines += 1 }
      start = line.upperBound + 1
    }
    guard let first else { return nil }
    let more = lines > 1 ? "; \(lines) lines begin like this" : ""
    return SyntaxRepair(
      message: "the line is indented with \(first.1.name)\(more)",
      hint: "indent with ordinary spaces", place: first.place, edits: edits)
  }

  private static func scalar(at offset: Int, _ bytes: [UInt8]) -> Unicode.Scalar? {
    String(decoding: bytes[offset..<min(offset + 4, bytes.count)], as: UTF8.self).unicodeScalars.first
  }
}

/// Looks for the mistake around the place where the parser stopped.
struct SyntaxDoctor {
  let text: RepairedText
  let complaint: SyntaxRepair.Complaint

  private var bytes: [UInt8] { text.bytes }
  private var line: Range<Int> { text.line(at: complaint.place) }

  /// The most likely mistake; nil if none is likely.
  func repair() -> SyntaxRepair? {
    if let stray = asterisk() ?? strayComma() ?? strayBracket() ?? textBehindBrace() { return stray }
    let earlier = text.contentLine(before: line)
    let context = text.line(at: complaint.contextPlace)
    let lines = [context, earlier, line].compactMap(\.self)
    if let found = first(of: lines, comment) ?? missingColon(context) ?? missingDash() { return found }
    if complaint.context.contains("quoted scalar"), let found = missingSpaceBeforeQuote(context) {
      return found
    }
    if complaint.context.contains("flow") {
      return first(of: [line, context], missingSpaceBeforeQuote) ?? first(of: [line, context], braces)
    }
    return first(of: lines) { missingSpace($0) ?? dash($0) ?? equalsSign($0) } ?? earlier.flatMap(indentation)
  }

  private func first(of lines: [Range<Int>], _ find: (Range<Int>) -> SyntaxRepair?) -> SyntaxRepair? {
    lines.lazy.compactMap(find).first
  }

  // MARK: - Single lines

  /// `installed_apps: [chat],`
  private func strayComma() -> SyntaxRepair? {
    guard let character = stray(",;") else { return nil }
    return SyntaxRepair(
      message: "there is a \"\(character)\" after the value",
      hint: "remove it: in YAML the end of the line ends the value",
      place: complaint.place..<(complaint.place + 1),
      edits: [.init(offset: complaint.place, removed: 1, inserted: " ")])
  }

  /// The character where the parser stopped, if it is one of these, and stands outside of brackets.
  private func stray(_ characters: String) -> Unicode.Scalar? {
    guard complaint.place < bytes.count, !complaint.context.contains("flow"),
      characters.utf8.contains(bytes[complaint.place])
    else { return nil }
    return Unicode.Scalar(bytes[complaint.place])
  }

  /// `- {path: ws/, consumer: echo}}`
  private func strayBracket() -> SyntaxRepair? {
    guard let character = stray("}]") else { return nil }
    let count = bytes[complaint.place...].prefix { $0 == bytes[complaint.place] }.count
    return SyntaxRepair(
      message: count == 1
        ? "this \"\(character)\" closes nothing" : "these \(count) \"\(character)\" close nothing",
      hint: count == 1
        ? "remove it: the line has one \"\(character)\" too many"
        : "remove them: the line has \(count) \"\(character)\" too many",
      place: complaint.place..<(complaint.place + count),
      edits: [.init(offset: complaint.place, removed: count, inserted: " ")])
  }

  /// `allowed_hosts: *`, which begins an alias in YAML, and `* path: ws/`, a list entry of other languages.
  private func asterisk() -> SyntaxRepair? {
    let start = complaint.contextPlace
    guard complaint.problem.contains("alphabetic or numeric"), start < bytes.count,
      bytes[start] == UInt8(ascii: "*")
    else { return nil }
    let line = text.line(at: start)
    let isFirst = bytes[line.lowerBound..<start].allSatisfy { $0 == UInt8(ascii: " ") }
    if isFirst, start + 1 < line.upperBound, bytes[start + 1] == UInt8(ascii: " ") {
      return SyntaxRepair(
        message: "\"*\" does not begin an entry of a list in YAML", hint: "begin it with \"- \"",
        place: start..<(start + 1), edits: [.init(offset: start, removed: 1, inserted: "-")])
    }
    var end = start
    while end < line.upperBound, !",]} #".utf8.contains(bytes[end]) { end += 1 }
    guard !bytes[start..<end].contains(UInt8(ascii: "\"")) else { return nil }
    let value = String(decoding: bytes[start..<end], as: UTF8.self)
    let isInList = bytes[line.lowerBound..<start].contains(UInt8(ascii: "["))
    return SyntaxRepair(
      message: "without quotes \"*\" begins an alias in YAML", hint: "write [\"\(value)\"]",
      place: start..<end,
      edits: [
        .init(offset: start, inserted: isInList ? "\"" : "[\""),
        .init(offset: end, inserted: isInList ? "\"" : "\"]"),
      ])
  }

  /// `group: {room}_chat`
  private func textBehindBrace() -> SyntaxRepair? {
    let end = complaint.place
    guard complaint.problem.contains("did not find expected"), end > line.lowerBound, end < line.upperBound,
      bytes[end - 1] == UInt8(ascii: "}"), isOfWord(end, line),
      let start = bytes[line.lowerBound..<end].lastIndex(of: UInt8(ascii: "{")),
      start == line.lowerBound || !isOfWord(start - 1, line),
      let value = value(around: start, line, from: start), value.upperBound > end
    else { return nil }
    return SyntaxRepair(
      message: "a value that begins with \"{\" needs quotes", hint: quotesHint(value, line), place: value,
      edits: [
        .init(offset: value.lowerBound, inserted: "\""), .init(offset: value.upperBound, inserted: "\""),
      ])
  }

  /// The hint to put a value in quotes. It repeats the value only where it cannot be a secret.
  private func quotesHint(_ value: Range<Int>, _ line: Range<Int>) -> String {
    let text = String(decoding: bytes[value], as: UTF8.self)
    let isVariable = text.hasPrefix("${") && text.firstIndex(of: "}") == text.indices.last
    let key = lastKey(before: value.lowerBound, line)
    guard isVariable || key.map({ KeysWithoutSecrets.contains($0, isWhole: false) }) ?? false else {
      return "put the whole value in quotes"
    }
    return "put it in quotes: \"\(text)\""
  }

  /// The nearest key to the left.
  private func lastKey(before offset: Int, _ line: Range<Int>) -> String? {
    guard let colon = bytes[line.lowerBound..<offset].lastIndex(of: UInt8(ascii: ":")) else { return nil }
    var start = colon
    while start > line.lowerBound, isOfKey(bytes[start - 1]) { start -= 1 }
    return start < colon ? String(decoding: bytes[start..<colon], as: UTF8.self) : nil
  }

  /// `consumer chat`
  private func missingColon(_ line: Range<Int>) -> SyntaxRepair? {
    guard complaint.problem.contains("could not find expected ':'"), let key = key(line),
      key.name.utf8.allSatisfy(\.isOfKey),
      key.rest == line.upperBound || key.rest > key.range.upperBound && !":=".utf8.contains(bytes[key.rest])
    else { return nil }
    return SyntaxRepair(
      message: "there is no \":\" after \"\(key.name)\"", hint: "a key is followed by a colon and a space",
      place: key.range, edits: [.init(offset: key.range.upperBound, inserted: ":")])
  }

  /// `{topic:"{topic}"}`
  private func missingSpaceBeforeQuote(_ line: Range<Int>) -> SyntaxRepair? {
    var quote: UInt8?
    for offset in line {
      let byte = bytes[offset]
      if let open = quote {
        if byte == open { quote = nil }
        continue
      }
      guard byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") else { continue }
      guard offset > line.lowerBound, bytes[offset - 1] == UInt8(ascii: ":") else {
        if !isOfWord(offset - 1, line) { quote = byte }
        continue
      }
      var start = offset - 1
      while start > line.lowerBound, isOfKey(bytes[start - 1]) { start -= 1 }
      guard start < offset - 1 else {
        quote = byte
        continue
      }
      let name = String(decoding: bytes[start..<(offset - 1)], as: UTF8.self)
      return SyntaxRepair(
        message: "there is no space after \"\(name):\"", hint: "put a space after the \":\"",
        place: start..<offset, edits: [.init(offset: offset, inserted: " ")])
    }
    return nil
  }

  /// A route that begins in the column of the dashes.
  private func missingDash() -> SyntaxRepair? {
    guard complaint.problem.contains("'-' indicator"), let own = key(line), !own.isBehindDash,
      own.name == "path" || own.name == "re_path", own.rest < line.upperBound,
      bytes[own.rest] == UInt8(ascii: ":")
    else { return nil }
    var edits = [RepairedText.Edit(offset: own.range.lowerBound, inserted: "- ")]
    var rest = line
    // The other keys of the route are where they would be behind a dash, or below the first one.
    while edits.count < 100, let next = text.contentLine(after: rest), let key = key(next),
      key.column == own.column, !key.isBehindDash, key.name != own.name
    {
      edits.append(.init(offset: key.range.lowerBound, inserted: "  "))
      rest = next
    }
    return SyntaxRepair(
      message: "a route begins here, without a \"-\"", hint: "put \"- \" before the first key of each route",
      place: own.range, edits: edits)
  }

  /// `// as in JavaScript`
  private func comment(_ line: Range<Int>) -> SyntaxRepair? {
    var isBehindSpace = true
    var quote: UInt8?
    for offset in line where offset + 1 < line.upperBound {
      let byte = bytes[offset]
      if let open = quote {
        if byte == open { quote = nil }
      } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
        quote = byte
      } else if byte == UInt8(ascii: "#"), isBehindSpace {
        return nil
      } else if byte == UInt8(ascii: "/"), bytes[offset + 1] == byte, isBehindSpace {
        return SyntaxRepair(
          message: "\"//\" does not begin a comment in YAML", hint: "begin the comment with \"#\"",
          place: offset..<(offset + 2), edits: [.init(offset: offset, removed: 1, inserted: "#")])
      }
      isBehindSpace = byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t")
    }
    return nil
  }

  /// A key at the beginning of a line, after the dashes of list entries.
  private struct Key {
    var range: Range<Int>
    /// The offset after the key and spaces.
    var rest: Int
    var name: String
    /// From the start of the line.
    var column: Int
    /// Whether it is the first key of a list entry.
    var isBehindDash: Bool
  }

  private func key(_ line: Range<Int>) -> Key? {
    var start = line.lowerBound
    var isBehindDash = false
    while start < line.upperBound {
      if bytes[start] == UInt8(ascii: " ") {
        start += 1
      } else if bytes[start] == UInt8(ascii: "-"), start + 1 < line.upperBound,
        bytes[start + 1] == UInt8(ascii: " ")
      {
        isBehindDash = true
        start += 1
      } else {
        break
      }
    }
    var end = start
    while end < line.upperBound, isOfKey(bytes[end]) { end += 1 }
    guard end > start else { return nil }
    var rest = end
    while rest < line.upperBound, bytes[rest] == UInt8(ascii: " ") { rest += 1 }
    return Key(
      range: start..<end, rest: rest, name: String(decoding: bytes[start..<end], as: UTF8.self),
      column: start - line.lowerBound, isBehindDash: isBehindDash)
  }

  private func isOfKey(_ byte: UInt8) -> Bool {
    byte.isLetterOrDigit || "_-.".utf8.contains(byte)
  }

  /// `path:ws/chat/`
  private func missingSpace(_ line: Range<Int>) -> SyntaxRepair? {
    guard let key = key(line), key.rest == key.range.upperBound, key.rest + 1 < line.upperBound,
      bytes[key.rest] == UInt8(ascii: ":")
    else { return nil }
    let next = bytes[key.rest + 1]
    // `http://host` is not a key.
    let isURL = next == UInt8(ascii: "/") && key.rest + 2 < line.upperBound && bytes[key.rest + 2] == next
    guard next != UInt8(ascii: " "), !isURL else { return nil }
    return SyntaxRepair(
      message: "there is no space after \"\(key.name):\"", hint: "put a space after the \":\"",
      place: key.range.lowerBound..<(key.rest + 1), edits: [.init(offset: key.rest + 1, inserted: " ")])
  }

  /// `-path: ws/chat/`
  private func dash(_ line: Range<Int>) -> SyntaxRepair? {
    guard let key = key(line), key.name.hasPrefix("-"), key.rest < line.upperBound,
      bytes[key.rest] == UInt8(ascii: ":"), key.range.lowerBound > line.lowerBound
    else { return nil }
    let start = key.range.lowerBound
    let following = text.contentLine(after: line).flatMap { self.key($0) }
    // The key stays in its column, unless the other keys of the entry stand as they would behind "- ".
    let isMoved = following.map { !$0.isBehindDash && $0.column == key.column + 2 } ?? false
    return SyntaxRepair(
      message: "there is no space after \"-\"", hint: "put a space after the \"-\"",
      place: start..<(start + 1),
      edits: (isMoved ? [] : [.init(offset: start - 1, removed: 1)])
        + [.init(offset: start + 1, inserted: " ")])
  }

  /// `path = ws/chat/`
  private func equalsSign(_ line: Range<Int>) -> SyntaxRepair? {
    guard let key = key(line), key.rest < line.upperBound, bytes[key.rest] == UInt8(ascii: "=") else {
      return nil
    }
    return SyntaxRepair(
      message: "a key is followed by \":\", not by \"=\"", hint: "write \(key.name): VALUE",
      place: key.rest..<(key.rest + 1), edits: [.init(offset: key.rest, removed: 1, inserted: ": ")])
  }

  // MARK: - Braces

  /// `{group: chat_{room}}` and `[${REDIS_URL}]`: the value would need quotes.
  private func braces(_ line: Range<Int>) -> SyntaxRepair? {
    var edits: [RepairedText.Edit] = []
    var first: (place: Range<Int>, value: Range<Int>)?
    var offset = line.lowerBound
    var rest = offset
    var quote: UInt8?
    while offset < line.upperBound {
      let byte = bytes[offset]
      if let open = quote {
        if byte == open { quote = nil }
      } else if byte == UInt8(ascii: "#"), offset == line.lowerBound || bytes[offset - 1] == UInt8(ascii: " ")
      {
        break
      } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'"), !isOfWord(offset - 1, line) {
        quote = byte
      } else if byte == UInt8(ascii: "{"), isOfWord(offset - 1, line),
        let value = value(around: offset, line, from: rest)
      {
        edits.append(.init(offset: value.lowerBound, inserted: "\""))
        edits.append(.init(offset: value.upperBound, inserted: "\""))
        let brace = bytes[offset - 1] == UInt8(ascii: "$") ? offset - 1 : offset
        let close = bytes[offset..<value.upperBound].firstIndex(of: UInt8(ascii: "}")) ?? offset
        if first == nil { first = (brace..<(close + 1), value) }
        offset = value.upperBound
        rest = offset
        continue
      }
      offset += 1
    }
    guard let first else { return nil }
    return SyntaxRepair(
      message: "inside \"{ }\" or \"[ ]\" a value with braces needs quotes",
      hint: quotesHint(first.value, line), place: first.place, edits: edits)
  }

  /// Whether a byte belongs to a value without quotes.
  private func isOfWord(_ offset: Int, _ line: Range<Int>) -> Bool {
    line.contains(offset) && !" \t,[{]}:\"'".utf8.contains(bytes[offset])
  }

  /// The value that a brace is a part of, with its braces.
  ///
  /// - Parameter rest: where it can begin at the earliest: behind the value before it.
  private func value(around brace: Int, _ line: Range<Int>, from rest: Int) -> Range<Int>? {
    var start = brace
    while start > rest, line.contains(start - 1), !" ,[{".utf8.contains(bytes[start - 1]) { start -= 1 }
    var end = brace
    var depth = 0
    while end < line.upperBound {
      let byte = bytes[end]
      if byte == UInt8(ascii: "{") { depth += 1 }
      if byte == UInt8(ascii: "}") {
        if depth == 0 { break }
        depth -= 1
      }
      if depth == 0, ",] ".utf8.contains(byte) { break }
      if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { return nil }
      end += 1
    }
    return depth == 0 ? start..<end : nil
  }

  // MARK: - Indentation

  /// A key in a column where no key can be: indented too little or too much.
  private func indentation(_ earlier: Range<Int>) -> SyntaxRepair? {
    guard let own = key(line), own.rest < line.upperBound, bytes[own.rest] == UInt8(ascii: ":"),
      !own.isBehindDash,
      let previous = key(earlier), previous.rest < earlier.upperBound,
      bytes[previous.rest] == UInt8(ascii: ":")
    else { return nil }
    let isComplete = previous.rest + 1 < earlier.upperBound
    if own.column > previous.column, isComplete, complaint.problem.contains("mapping values are not allowed")
    {
      return moved(own, to: previous.column, "further to the right than the keys before it")
    }
    guard own.column < previous.column, complaint.problem.contains("did not find expected"),
      let column = columns(before: line).filter({ $0 > own.column }).min()
    else { return nil }
    return moved(own, to: column, "too far to the left")
  }

  /// Moves a key, and the keys that stand directly below it, which were indented with it.
  private func moved(_ key: Key, to column: Int, _ where: String) -> SyntaxRepair {
    let block = block(from: key)
    let shift = column - key.column
    let edits = block.lines.map { start -> RepairedText.Edit in
      shift > 0
        ? .init(offset: start + key.column, inserted: String(repeating: " ", count: shift))
        : .init(offset: start + column, removed: -shift)
    }
    let others =
      block.keys > 1 ? ", and the \(block.keys == 2 ? "key" : "\(block.keys - 1) keys") below it" : ""
    return SyntaxRepair(
      message: "the key \"\(key.name)\" stands \(`where`)",
      hint: "keys of one mapping begin in the same column: indent it to column \(column + 1)\(others)",
      place: key.range, edits: edits)
  }

  /// Whether a line has nothing but a comment from a place on, so that the value of its key can follow below.
  private func isWithoutValue(_ place: Int, _ line: Range<Int>) -> Bool {
    guard place < line.upperBound,
      let first = bytes[place..<line.upperBound].first(where: { $0 != UInt8(ascii: " ") })
    else { return true }
    return first == UInt8(ascii: "#")
  }

  /// The starts of the lines from a key on that have keys in its column, or belong to the values of such keys, and the number of the
  /// keys.
  private func block(from first: Key) -> (lines: [Int], keys: Int) {
    var lines = [line.lowerBound]
    var keys = 1
    // Whether the last key's value can be in the lines below it.
    var isOpen = isWithoutValue(first.rest + 1, line)
    // Whether that value is a list whose entries begin in the column of its key; nil before its first line.
    var isList: Bool?
    var current = line
    while let next = text.contentLine(after: current) {
      let column = bytes[next].prefix { $0 == UInt8(ascii: " ") }.count
      let isEntry = bytes[next.lowerBound + column] == UInt8(ascii: "-")
      if column == first.column, !isEntry {
        guard let key = key(next), key.rest < next.upperBound, bytes[key.rest] == UInt8(ascii: ":") else {
          break
        }
        keys += 1
        isOpen = isWithoutValue(key.rest + 1, next)
        isList = nil
      } else {
        guard isOpen, column > first.column || isEntry && column == first.column && isList != false else {
          break
        }
        isList = isList ?? (column == first.column)
      }
      lines.append(next.lowerBound)
      current = next
    }
    return (lines, keys)
  }

  /// The columns of the keys that a line could be below, from left to right.
  private func columns(before line: Range<Int>) -> [Int] {
    var columns: [Int] = []
    var current = line
    for _ in 0..<1000 {
      guard let earlier = text.contentLine(before: current) else { break }
      if let key = key(earlier), key.column < columns.last ?? .max { columns.append(key.column) }
      current = earlier
    }
    return columns
  }
}
