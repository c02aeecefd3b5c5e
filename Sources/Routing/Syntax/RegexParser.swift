import Bytes

/// Reads Django's `re_path()` notation: the part of Python's regular expressions that an automaton can express.
///
/// `\w`, `\d` and `\s` are ASCII. Look-ahead, look-behind, back-references and unbounded counts are refused, with their place
/// in the pattern.
struct RegexParser {
  /// Deeper nesting is refused.
  private static let deepest = 50
  private static let mostRepetitions = 1000

  private let text: String
  private let characters: [Unicode.Scalar]
  private var index = 0
  private var depth = 0
  private var ignoresCase = false
  private var dotMatchesLineFeed = false
  /// In the order in which they begin.
  private var captures: [RoutePattern.Capture] = []
  /// The first repetition without an upper bound of something that may be empty.
  private var emptyLoop: Range<Int>?

  init(_ text: String) {
    self.text = text
    characters = Array(text.unicodeScalars)
  }

  /// Django: an endpoint that ends in `$` must match the whole path; everything else is searched for, and may stand
  /// anywhere in the path unless it begins with `^`.
  func parse(_ role: RoutePattern.Role) throws(PatternFault) -> RoutePattern {
    var parser = self
    let body = try parser.parseAll()
    if let loop = parser.emptyLoop, !parser.captures.isEmpty { throw Self.fault(ofLoop: loop) }
    let isWhole = role == .endpoint && text.hasSuffix("$")
    let anything = Expression.characters(.everything)
    let isSearched = !isWhole && !body.beginsWithStart
    let before = isSearched ? [Expression.repetition(anything, least: 0, most: nil, preference: .lazy)] : []
    let after = Expression.repetition(anything, least: 0, most: nil, preference: .greedy)
    let expression: Expression =
      switch (role, isWhole) {
      case (.endpoint, true): .sequence([body, .end])
      case (.endpoint, false): .sequence(before + [body, after])
      case (.prefix, _): .sequence(before + [body])
      }
    return RoutePattern(
      text: text, syntax: .regex, captures: parser.captures, expression: expression, isSearched: isSearched)
  }

  /// Python ends such a repetition with an empty turn where it can, and captures what that turn captures.
  private static func fault(ofLoop range: Range<Int>) -> PatternFault {
    PatternFault(
      .unsupported,
      "a repetition of something that may be empty: Python could capture other text than Sluice",
      hint: "let every turn match at least one character, as (?:a+)* does and (?:a*)* does not", at: range)
  }

  private mutating func parseAll() throws(PatternFault) -> Expression {
    try parseFlags()
    let expression = try parseAlternatives()
    guard index == characters.count else { throw invalid("the \")\" has no \"(\" before it", range(index)) }
    return expression
  }

  /// `(?i)` and `(?s)` at the very front, where Python wants global flags.
  private mutating func parseFlags() throws(PatternFault) {
    while peek() == "(", peek(1) == "?", let flag = peek(2), "aimsuxL".unicodeScalars.contains(flag) {
      let start = index
      index += 2
      while let flag = peek(), flag != ")" {
        switch flag {
        case "i": ignoresCase = true
        case "s": dotMatchesLineFeed = true
        case "a", "u": break
        default:
          throw PatternFault(
            .unsupported, "the flag \"\(flag)\" is not supported", at: range(start, to: index + 1))
        }
        index += 1
      }
      guard peek() == ")" else { throw invalid("the flags are not closed by \")\"", range(start, to: index)) }
      index += 1
    }
  }

  // MARK: - Structure

  private mutating func parseAlternatives() throws(PatternFault) -> Expression {
    var alternatives = [try parseSequence()]
    while peek() == "|" {
      index += 1
      alternatives.append(try parseSequence())
    }
    return alternatives.count == 1 ? alternatives[0] : .alternatives(alternatives)
  }

  private mutating func parseSequence() throws(PatternFault) -> Expression {
    var parts: [Expression] = []
    try skipComments()
    while let next = peek(), next != "|", next != ")" {
      let start = index
      let atom = try parseAtom()
      try skipComments()
      parts.append(try parseQuantifiers(atom, from: start))
      try skipComments()
    }
    return parts.count == 1 ? parts[0] : .sequence(parts)
  }

  private mutating func parseQuantifiers(
    _ atom: Expression, from start: Int
  ) throws(PatternFault) -> Expression {
    let quantifierStart = index
    guard let (least, most) = try parseBounds() else { return atom }
    switch atom {
    case .start, .end, .endOrLastLineFeed:
      throw invalid("an anchor cannot be repeated", range(start, to: index))
    case .characters, .sequence, .alternatives, .repetition, .capture: break
    }
    var preference = Expression.Preference.greedy
    if peek() == "?" {
      preference = .lazy
      index += 1
    } else if peek() == "+" {
      throw PatternFault(
        .unsupported, "a possessive repetition is not supported", at: range(quantifierStart, to: index + 1))
    }
    try skipComments()
    if try parseBounds() != nil {
      throw invalid("a repetition stands behind another repetition", range(quantifierStart, to: index))
    }
    if most == nil, emptyLoop == nil, atom.mayBeEmpty { emptyLoop = range(start, to: index) }
    return .repetition(atom, least: least, most: most, preference: preference)
  }

  /// `*`, `+`, `?`, `{m}`, `{m,}`, `{,n}`, `{m,n}`, `{,}`; anything else in braces is literal text, as in Python.
  private mutating func parseBounds() throws(PatternFault) -> (least: Int, most: Int?)? {
    switch peek() {
    case "*":
      index += 1
      return (0, nil)
    case "+":
      index += 1
      return (1, nil)
    case "?":
      index += 1
      return (0, 1)
    case "{": return try parseBraces()
    default: return nil
    }
  }

  private mutating func parseBraces() throws(PatternFault) -> (least: Int, most: Int?)? {
    let start = index
    guard let close = characters[index...].firstIndex(of: "}") else { return nil }
    let inner = string((index + 1)..<close)
    let bounds = inner.split(separator: ",", omittingEmptySubsequences: false)
    guard bounds.count <= 2, bounds.allSatisfy(\.isOfDigits), inner != "" else { return nil }
    index = close + 1
    let least = bounds[0].isEmpty ? 0 : Int(bounds[0])
    let most = bounds.count == 1 ? least : (bounds[1].isEmpty ? nil : Int(bounds[1]))
    guard let least, least <= Self.mostRepetitions, most ?? 0 <= Self.mostRepetitions else {
      throw PatternFault(
        .unsupported, "a repetition can repeat at most \(Self.mostRepetitions) times",
        at: range(start, to: index))
    }
    if let most, most < least {
      throw invalid("the repetition's lower bound is larger than its upper bound", range(start, to: index))
    }
    return (least, most)
  }

  private mutating func parseAtom() throws(PatternFault) -> Expression {
    let start = index
    let scalar = characters[index]
    index += 1
    switch scalar {
    case "(": return try parseGroup(from: start)
    case "[": return .characters(try parseClass(from: start))
    case ".": return .characters(dotMatchesLineFeed ? .everything : CharacterRanges("\n").inverted)
    case "^": return .start
    case "$": return .endOrLastLineFeed
    case "\\": return try parseEscape(from: start)
    case "*", "+", "?":
      throw invalid("there is nothing before the \"\(scalar)\" to repeat", range(start))
    default: return .characters(try literal(scalar, from: start))
    }
  }

  private func literal(_ scalar: Unicode.Scalar, from start: Int) throws(PatternFault) -> CharacterRanges {
    let set = CharacterRanges(scalar)
    try checkCase(of: set, from: start)
    return ignoresCase ? set.caseInsensitive : set
  }

  /// Sluice does not know which letters beyond ASCII differ only in case.
  private func checkCase(of set: CharacterRanges, from start: Int) throws(PatternFault) {
    guard ignoresCase, let last = set.ranges.last?.upperBound, last >= 0x80 else { return }
    if set.ranges == [last...last], Unicode.Scalar(last)?.properties.isCased == false { return }
    throw PatternFault(
      .unsupported, "the flag \"i\" is supported for ASCII letters only",
      hint: "write both cases: [\u{E9}\u{C9}]", at: range(start, to: index))
  }

  // MARK: - Groups

  private mutating func parseGroup(from start: Int) throws(PatternFault) -> Expression {
    guard depth < Self.deepest else {
      throw PatternFault(
        .unsupported, "groups are nested deeper than \(Self.deepest) levels", at: range(start))
    }
    depth += 1
    defer { depth -= 1 }
    var number: Int?
    if peek() == "?" {
      index += 1
      switch peek() {
      case ":": index += 1
      case "P":
        let name = try parseGroupName(from: start)
        number = captures.count
        captures.append(RoutePattern.Capture(name: name, expression: .empty))
      case "=", "!": throw unsupported("a look-ahead", from: start)
      case "<": throw unsupported("a look-behind", from: start)
      case "(": throw unsupported("a conditional group", from: start)
      case ">": throw unsupported("an atomic group", from: start)
      default: throw unsupported("this kind of group", from: start)
      }
    }
    let inner = try parseAlternatives()
    guard peek() == ")" else { throw invalid("\"(\" is not closed by \")\"", range(start)) }
    index += 1
    guard let number else { return inner }
    captures[number].expression = inner
    return .capture(number, inner)
  }

  private mutating func parseGroupName(from start: Int) throws(PatternFault) -> String {
    index += 1
    if peek() == "=" { throw unsupported("a back-reference", from: start) }
    guard peek() == "<", let close = characters[index...].firstIndex(of: ">") else {
      throw invalid("a named group begins with \"(?P<name>\"", range(start, to: index))
    }
    let name = string((index + 1)..<close)
    let place = range(start, to: close + 1)
    guard isIdentifier(name) else { throw .badName(name, at: place) }
    guard !captures.contains(where: { $0.name == name }) else { throw .takenName(name, at: place) }
    index = close + 1
    return name
  }

  /// Skips `(?#...)`. A quantifier after the comment belongs to the expression before it.
  private mutating func skipComments() throws(PatternFault) {
    while peek() == "(", peek(1) == "?", peek(2) == "#" {
      guard let close = characters[index...].firstIndex(of: ")") else {
        throw invalid("the comment is not closed by \")\"", range(index))
      }
      index = close + 1
    }
  }

  private func invalid(_ message: String, _ range: Range<Int>) -> PatternFault {
    PatternFault(.invalid, message, at: range)
  }

  private func unsupported(_ what: String, from start: Int) -> PatternFault {
    PatternFault(
      .unsupported, "\(what) is not supported: Sluice compiles patterns to automata",
      at: range(start, to: index + 1))
  }

  // MARK: - Escapes and classes

  private mutating func parseEscape(from start: Int) throws(PatternFault) -> Expression {
    switch peek() {
    case "A":
      index += 1
      return .start
    case "Z":
      index += 1
      return .end
    case "b", "B": throw unsupported("a word boundary", from: start)
    case ("1"..."9")?: throw unsupported("a back-reference", from: start)
    default: return .characters(try parseEscapedSet(from: start))
    }
  }

  /// An escape that stands for characters. The backslash has been read.
  private mutating func parseEscapedSet(from start: Int) throws(PatternFault) -> CharacterRanges {
    guard let scalar = peek() else { throw invalid("the backslash at the end escapes nothing", range(start)) }
    index += 1
    switch scalar {
    case "d": return .digits
    case "D": return CharacterRanges.digits.inverted
    case "w": return .word
    case "W": return CharacterRanges.word.inverted
    case "s": return .space
    case "S": return CharacterRanges.space.inverted
    case "n": return CharacterRanges("\n")
    case "r": return CharacterRanges("\r")
    case "t": return CharacterRanges("\t")
    case "f": return CharacterRanges("\u{0C}")
    case "v": return CharacterRanges("\u{0B}")
    case "a": return CharacterRanges("\u{07}")
    case "0": return CharacterRanges("\0")
    case "x": return try literal(try parseHex(2, from: start), from: start)
    case "u": return try literal(try parseHex(4, from: start), from: start)
    case "U": return try literal(try parseHex(8, from: start), from: start)
    case "a"..."z", "A"..."Z", "1"..."9":
      throw invalid("the escape \"\\\(scalar)\" is not known", range(start, to: index))
    default: return try literal(scalar, from: start)
    }
  }

  private mutating func parseHex(_ count: Int, from start: Int) throws(PatternFault) -> Unicode.Scalar {
    let end = min(index + count, characters.count)
    let digits = string(index..<end)
    guard digits.utf8.count == count, let value = UInt32(hexadecimal: digits),
      let scalar = Unicode.Scalar(value)
    else { throw invalid("the escape needs \(count) hexadecimal digits", range(start, to: end)) }
    index = end
    return scalar
  }

  private mutating func parseClass(from start: Int) throws(PatternFault) -> CharacterRanges {
    let isInverted = peek() == "^"
    if isInverted { index += 1 }
    var set = CharacterRanges.nothing
    var isFirst = true
    while let scalar = peek(), scalar != "]" || isFirst {
      isFirst = false
      set = set.union(try parseClassItem())
    }
    guard peek() == "]" else { throw invalid("\"[\" is not closed by \"]\"", range(start)) }
    index += 1
    if ignoresCase { set = set.caseInsensitive }
    return isInverted ? set.inverted : set
  }

  private mutating func parseClassItem() throws(PatternFault) -> CharacterRanges {
    let start = index
    let (first, low) = try parseClassCharacter()
    guard peek() == "-", let next = peek(1), next != "]" else {
      if low != nil { try checkCase(of: first, from: start) }
      return first
    }
    index += 1
    let (_, high) = try parseClassCharacter()
    guard let low, let high, low.value <= high.value else {
      throw invalid("the range ends before it begins", range(start, to: index))
    }
    let set = CharacterRanges([low.value...high.value])
    try checkCase(of: set, from: start)
    return set
  }

  /// - Returns: the characters, and the scalar if there is only one.
  private mutating func parseClassCharacter() throws(PatternFault) -> (CharacterRanges, Unicode.Scalar?) {
    let start = index
    let scalar = characters[index]
    index += 1
    guard scalar == "\\" else { return (CharacterRanges(scalar), scalar) }
    if peek() == "b" {
      index += 1
      return (CharacterRanges("\u{08}"), "\u{08}")
    }
    let ignored = ignoresCase
    ignoresCase = false
    defer { ignoresCase = ignored }
    let set = try parseEscapedSet(from: start)
    let only =
      set.ranges.count == 1 && set.ranges[0].count == 1 ? Unicode.Scalar(set.ranges[0].lowerBound) : nil
    return (set, only)
  }

  // MARK: - Places

  private func peek(_ ahead: Int = 0) -> Unicode.Scalar? {
    index + ahead < characters.count ? characters[index + ahead] : nil
  }

  private func string(_ range: Range<Int>) -> String { String(String.UnicodeScalarView(characters[range])) }

  private func range(_ index: Int) -> Range<Int> { range(index, to: index + 1) }

  private func range(_ start: Int, to end: Int) -> Range<Int> {
    offset(start)..<max(offset(start), offset(end))
  }

  /// In bytes.
  private func offset(_ index: Int) -> Int { characters.prefix(index).reduce(0) { $0 + UTF8.width($1) } }
}
