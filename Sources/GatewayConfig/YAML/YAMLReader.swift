import Bytes
import CYAML

/// Reads a file's YAML into nodes. It is the only code that uses libyaml.
///
/// It continues after findings if possible. A syntax error ends the document, because nothing after it can be trusted.
struct YAMLReader {
  /// Limits on a file. A file beyond them is an attack or a mistake.
  enum Bounds {
    static let bytes = 8 << 20
    static let depth = 64
    /// Nodes of the document, including those that aliases repeat.
    static let nodes = 300_000
    /// Bytes of all values, including those that aliases and variables repeat.
    static let text = 32 << 20
    /// Syntax mistakes that are repaired, one after another. Each time the text is read from its beginning.
    static let repairs = 16
    /// Bytes that may be read again for repairs.
    static let repairedText = 32 << 20
  }

  /// - Returns: the document's node; nil if there is no usable one.
  ///
  /// - Parameter hint: what to do about a file in which nothing stands.
  static func read(
    _ file: SourceFile, variables: Variables, findings: inout Findings,
    ifEmpty hint: String = "begin with installed_apps and applications"
  ) -> Node? {
    let top = SourceRange(file: file, at: SourcePosition(line: 1, column: 1))
    guard file.text.count <= Bounds.bytes else {
      findings.error(.yamlLimit, "the file is larger than \(Bounds.bytes >> 20) MiB", at: top)
      return nil
    }
    guard String(validating: file.text, as: UTF8.self) != nil, !file.text.contains(0) else {
      reportEncoding(file, top, &findings)
      return nil
    }
    var text = RepairedText(file)
    if let blanks = SyntaxRepair.blanks(in: text) { mend(&text, blanks, &findings) }
    var repairs = 0
    while true {
      var builder = NodeBuilder(file: file, variables: variables)
      var events = EventParser(text: text)
      events.run { builder.take($0) }
      if let failure = events.failure {
        repairs += 1
        if repairs <= Bounds.repairs, repairs * file.text.count <= Bounds.repairedText,
          let complaint = failure.complaint,
          let repair = SyntaxDoctor(text: text, complaint: complaint).repair()
        {
          mend(&text, repair, &findings)
          continue
        }
        builder.findings.error(.yamlSyntax, failure.message, at: failure.range, hint: failure.hint)
      }
      if events.failure != nil || builder.root == nil { hideSecrets(of: file, &findings) }
      return root(of: builder, hasFailed: events.failure != nil, ifEmpty: hint, top, &findings)
    }
  }

  private static let wordsOfSecrets = [
    "secret", "password", "passphrase", "token", "signing", "keys", "hosts", "redis://", "rediss://",
  ]

  /// Hides the lines of a file that may hold secrets, because nothing reads the values of a file that has no usable tree.
  private static func hideSecrets(of file: SourceFile, _ findings: inout Findings) {
    // The entries of a list below such a key, too.
    var isInList = false
    for number in 1...file.lineStarts.count {
      let line = String(decoding: file.text[file.bytes(ofLine: number)], as: UTF8.self).lowercased()
      let isNamed = wordsOfSecrets.contains(where: line.contains)
      isInList = isNamed || isInList && line.drop { $0 == " " }.hasPrefix("-")
      guard isInList else { continue }
      findings.hide(SourceRange(file: file, at: SourcePosition(line: number, column: 1)))
    }
  }

  /// Reports the first byte that is no part of a UTF-8 text.
  private static func reportEncoding(_ file: SourceFile, _ top: SourceRange, _ findings: inout Findings) {
    let bytes = file.text
    let isWide =
      bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) || bytes.prefix(2).contains(0)
    guard !isWide else {
      // Its lines would be shown as something else.
      findings.hide(top)
      findings.error(
        .yamlSyntax, "the file is not UTF-8 text: it is most likely UTF-16", at: top,
        hint: "save the file as UTF-8")
      return
    }
    let offset = firstInvalidByte(of: bytes)
    let start = file.position(ofCharacter: bytes[..<offset].characterCount)
    // A byte that continues a character which never began is none of its own.
    let width = bytes[offset].continuesCharacter ? 0 : 1
    let end = SourcePosition(line: start.line, column: start.column + width)
    let digits = bytes[offset].hexadecimal(width: 2, uppercase: true)
    findings.error(
      .yamlSyntax, "the file is not UTF-8 text: byte \(offset + 1) of it is 0x\(digits)",
      at: SourceRange(file: file, start: start, end: end),
      hint: bytes[offset] == 0 ? "remove it" : "save the file as UTF-8: it is most likely Latin-1")
  }

  /// The offset of the first byte that is zero or does not belong to UTF-8 text.
  private static func firstInvalidByte(of bytes: [UInt8]) -> Int {
    var offset = 0
    while offset < bytes.count {
      guard bytes[offset] != 0, let lead = UTF8Lead(bytes[offset]) else { return offset }
      let end = offset + Int(lead.length)
      guard end <= bytes.count, lead.length == 1 || bytes.rawBytes.completes(lead, at: offset) else {
        return offset
      }
      offset = end
    }
    return max(0, bytes.count - 1)
  }

  /// Reports a mistake, and continues without it, so that later mistakes are found in the same run.
  private static func mend(_ text: inout RepairedText, _ repair: SyntaxRepair, _ findings: inout Findings) {
    let range = SourceRange(
      file: text.file, start: text.position(ofByte: repair.place.lowerBound),
      end: text.position(ofByte: repair.place.upperBound))
    findings.error(.yamlSyntax, repair.message, at: range, hint: repair.hint)
    text.apply(repair.edits)
  }

  private static func root(
    of builder: NodeBuilder, hasFailed: Bool, ifEmpty hint: String, _ top: SourceRange,
    _ findings: inout Findings
  ) -> Node? {
    let hadFindings = !findings.all.isEmpty
    findings.merge(builder.findings)
    guard !hasFailed else { return nil }
    if builder.root == nil, builder.findings.all.isEmpty, !hadFindings {
      findings.error(.yamlSyntax, "the file is empty", at: top, hint: hint)
    }
    return builder.root
  }
}

/// Gives out libyaml's parser of a text.
func withYAMLParser(of text: [UInt8], _ body: (inout yaml_parser_t) -> Void) {
  var parser = unsafe yaml_parser_t()
  guard unsafe yaml_parser_initialize(&parser) != 0 else { preconditionFailure("out of memory") }
  defer { unsafe yaml_parser_delete(&parser) }
  unsafe text.withUnsafeBufferPointer { input in
    unsafe yaml_parser_set_input_string(&parser, input.baseAddress, input.count)
    unsafe yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING)
    unsafe body(&parser)
  }
}

/// libyaml's events, without its types.
enum YAMLEvent {
  case scalar(text: String, style: Node.Scalar.Style, isLiteral: Bool, anchor: String?, tag: String?)
  /// A sequence or mapping begins.
  case start(isMapping: Bool, anchor: String?, tag: String?)
  case end
  case alias(String)
  case documentStart
}

/// Reads the events of a text.
private struct EventParser {
  struct Failure {
    var message: String
    var hint: String?
    var range: SourceRange
    /// Nil if the error is not about the text.
    var complaint: SyntaxRepair.Complaint?
  }

  let text: RepairedText
  private(set) var failure: Failure?

  private var file: SourceFile { text.file }

  mutating func run(_ take: (Located<YAMLEvent>) -> Bool) {
    unsafe withYAMLParser(of: text.bytes) { parser in
      var isOver = false
      while !isOver {
        var event = unsafe yaml_event_t()
        guard unsafe yaml_parser_parse(&parser, &event) != 0 else {
          failure = unsafe describe(parser)
          return
        }
        defer { unsafe yaml_event_delete(&event) }
        isOver = unsafe event.type == YAML_STREAM_END_EVENT
        guard let value = unsafe value(of: event) else { continue }
        let range = SourceRange(
          file: file, start: unsafe position(event.start_mark), end: unsafe position(event.end_mark))
        guard take(Located(value, at: range)) else { return }
      }
    }
  }

  private func value(of event: yaml_event_t) -> YAMLEvent? {
    switch unsafe event.type {
    case YAML_SCALAR_EVENT:
      let scalar = unsafe event.data.scalar
      let bytes = unsafe UnsafeBufferPointer(start: scalar.value, count: scalar.length)
      let style = unsafe scalar.style
      return .scalar(
        text: unsafe String(decoding: bytes, as: UTF8.self),
        style: style == YAML_PLAIN_SCALAR_STYLE ? .plain : .quoted,
        isLiteral: style != YAML_PLAIN_SCALAR_STYLE && style != YAML_DOUBLE_QUOTED_SCALAR_STYLE,
        anchor: unsafe text(scalar.anchor), tag: unsafe text(scalar.tag))
    case YAML_SEQUENCE_START_EVENT:
      let start = unsafe event.data.sequence_start
      return unsafe .start(isMapping: false, anchor: text(start.anchor), tag: text(start.tag))
    case YAML_MAPPING_START_EVENT:
      let start = unsafe event.data.mapping_start
      return unsafe .start(isMapping: true, anchor: text(start.anchor), tag: text(start.tag))
    case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT: return .end
    case YAML_ALIAS_EVENT: return unsafe .alias(text(event.data.alias.anchor) ?? "")
    case YAML_DOCUMENT_START_EVENT: return .documentStart
    default: return nil
    }
  }

  private func text(_ pointer: UnsafeMutablePointer<yaml_char_t>?) -> String? {
    unsafe pointer.map { unsafe String(cString: $0) }
  }

  /// Computed from the character index, because libyaml also ends lines where editors do not (U+0085, U+2028, U+2029).
  private func position(_ mark: yaml_mark_t) -> SourcePosition {
    text.position(ofCharacter: Int(mark.index))
  }

  /// libyaml's own words, replaced by plainer ones if needed.
  private func describe(_ parser: yaml_parser_t) -> Failure {
    let problem = unsafe parser.problem.map { unsafe String(cString: $0) } ?? "it cannot be read"
    let context = unsafe parser.context.map { unsafe String(cString: $0) } ?? ""
    // For something that is not closed, the best place is where it was opened.
    let isUnclosed =
      context.contains("quoted scalar") && !problem.contains("escape") || context.contains("flow ")
    let place = unsafe position(isUnclosed ? parser.context_mark : parser.problem_mark)
    let end = unsafe Int(parser.problem_mark.index)
    if let failure = openToken(problem, at: end) { return failure }
    let (message, hint) =
      startsWithTab(place) ? ("a tab cannot indent YAML", "use spaces") : Self.plain(problem, context)
    let complaint = unsafe SyntaxRepair.Complaint(
      problem: problem, context: context,
      place: text.offset(ofCharacter: Int(parser.problem_mark.index)),
      contextPlace: text.offset(ofCharacter: Int(parser.context_mark.index)))
    let range = SourceRange(file: file, at: place)
    return Failure(message: message, hint: hint, range: range, complaint: complaint)
  }

  /// What was opened further up, where that is why the parser could not go on.
  ///
  /// - Parameter end: where it gave up, in characters.
  private func openToken(_ problem: String, at end: Int) -> Failure? {
    let open = OpenTokens(text.bytes, before: end)
    let rest = text.bytes[text.offset(ofCharacter: end)...].prefix(3)
    func failure(_ message: String, _ place: Int, length: Int = 1, hint: String?) -> Failure {
      let range = SourceRange(
        file: file, start: text.position(ofCharacter: place), end: text.position(ofCharacter: place + length))
      return Failure(message: message, hint: hint, range: range)
    }
    func unclosedQuote(_ quoted: OpenTokens.Quoted) -> Failure {
      let line = text.position(ofCharacter: quoted.range.upperBound - 1).line
      return failure(
        "a quote is not closed", quoted.range.lowerBound,
        hint: "the next quote, in line \(line), ends the text")
    }
    // Behind the end of a text in quotes comes no letter: where it seems to end, another one was to begin.
    if let quoted = open.quoted, quoted.range.upperBound == end, let next = rest.first,
      !" \t\r\n,]}:#".utf8.contains(next),
      // The quotes of one line may be those of a repair.
      !(quoted.isOfOneLine && text.isRepaired)
    {
      guard quoted.isOfOneLine else { return unclosedQuote(quoted) }
      return failure(
        "the text in quotes ends before this", end,
        hint: quoted.isSingle
          ? "inside single quotes write '' for an apostrophe, or put the text in double quotes"
          : "inside double quotes write \\\" for a quote, or a comma is missing")
    }
    // A text in quotes of several lines in which keys stand has taken the next quote for its end.
    let isAfterText = ["did not find expected", "could not find expected", "mapping values are not allowed"]
      .contains(where: problem.contains)
    if let lines = open.quotedOfLines, !text.isRepaired, isAfterText, hasKeys(lines.range) {
      return unclosedQuote(lines)
    }
    guard problem.contains("did not find expected node content"), Self.isBehindBrackets(rest),
      let bracket = open.brackets.last
    else { return nil }
    return failure("\"\(bracket.character)\" is not closed by \"\(bracket.close)\"", bracket.place, hint: nil)
  }

  /// Whether the text goes on with a list of lines, or the end of the document: these come only behind the last bracket.
  private static func isBehindBrackets(_ rest: ArraySlice<UInt8>) -> Bool {
    rest.isEmpty || rest.elementsEqual("---".utf8) || rest.elementsEqual("...".utf8)
      || rest.first == UInt8(ascii: "-") && rest.dropFirst().first.map { " \n\r".utf8.contains($0) } ?? true
  }

  /// Whether one of the lines after the first one begins with a key.
  ///
  /// - Parameter range: in characters.
  private func hasKeys(_ range: Range<Int>) -> Bool {
    let end = text.offset(ofCharacter: range.upperBound)
    let part = text.bytes[text.offset(ofCharacter: range.lowerBound)..<end]
    return part.split(separator: UInt8(ascii: "\n")).dropFirst().contains { line in
      let words = line.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "-") }
      let name = words.prefix(while: \.isOfKey)
      return !name.isEmpty && words.dropFirst(name.count).starts(with: ": ".utf8)
    }
  }

  /// Plainer words for those of libyaml: the first row of which all words are in what it says.
  private static let plainWords: [(problem: String, context: String, message: String, hint: String?)] = [
    ("cannot start any token", "token", "this character cannot begin a value", "put the value in quotes"),
    (
      "unknown escape character", "", "YAML has no such escape",
      "use single quotes, in which \"\\\" is an ordinary character"
    ),
    ("alphabetic or numeric", "", "this character cannot begin a value", "put the value in quotes"),
    (
      "did not find expected node content", "", "expected a value",
      "put a value that begins with \"[\", \"{\" or \",\" in quotes"
    ),
    ("", "quoted scalar", "a quote is not closed", nil),
    ("", "flow sequence", "\"[\" is not closed by \"]\", or a comma is missing", nil),
    ("", "flow mapping", "\"{\" is not closed by \"}\", or a comma is missing", nil),
    (
      "mapping values are not allowed", "", "there is a second \":\" in the line",
      "put a value that contains \": \" in quotes, or check the indentation"
    ),
    (
      "could not find expected ':'", "", "this key has no \":\"", "a key is followed by a colon and a space"
    ),
    (
      "did not find expected key", "", "the indentation does not fit the lines around it",
      "keys of one mapping begin in the same column"
    ),
    (
      "did not find expected '-' indicator", "", "the indentation does not fit the lines around it",
      "entries of one list begin in the same column"
    ),
    (
      "block sequence entries are not allowed", "", "a list cannot begin here",
      "begin it on a line of its own"
    ),
  ]

  private static func plain(_ problem: String, _ context: String) -> (String, String?) {
    let row = plainWords.first { row in
      (row.problem.isEmpty || problem.contains(row.problem))
        && (row.context.isEmpty || context.contains(row.context))
    }
    return row.map { ($0.message, $0.hint) } ?? (problem, nil)
  }

  private func startsWithTab(_ place: SourcePosition) -> Bool {
    let line = file.text[file.bytes(ofLine: place.line)]
    return line.first { $0 != UInt8(ascii: " ") } == UInt8(ascii: "\t")
  }
}
