import Bytes

/// Reads single values. A wrong value is reported at its place, with what to write instead.
extension Reading {
  // MARK: - Text

  /// Text. A plain word that YAML readers may read as a truth value or a number is reported.
  func text(_ node: Node, _ what: String) -> String? { textScalar(node, what)?.text }

  /// The same, with its notation.
  func textScalar(_ node: Node, _ what: String) -> Node.Scalar? {
    guard let scalar = scalar(node, what) else { return nil }
    guard let ambiguity = AmbiguousScalar(scalar, where: .text) else { return scalar }
    return refuse(ambiguity, what, scalar, at: node.range, hint: ambiguity.hint(for: scalar.text))
  }

  /// Reports a value that readers disagree about.
  ///
  /// - Returns: nil.
  func refuse<Value>(
    _ ambiguity: AmbiguousScalar, _ what: String, _ scalar: Node.Scalar, at range: SourceRange, hint: String
  ) -> Value? {
    refuse(
      .yamlSurprise, "\(what) is \"\(scalar.text)\", which \(ambiguity.meaning)\(origin(scalar))", at: range,
      hint: hint)
  }

  /// Text that is not empty.
  func word(_ node: Node, _ what: String) -> String? {
    guard let text = text(node, what) else { return nil }
    guard !text.isEmpty else { return refuse(.invalidValue, "\(what) is empty", at: node.range) }
    return text
  }

  /// One of a closed set of words.
  func choice<Choice: RawRepresentable & CaseIterable>(
    _ node: Node, _ what: String, of type: Choice.Type
  ) -> Choice? where Choice.RawValue == String {
    guard let scalar = scalar(node, what) else { return nil }
    if let choice = Choice(rawValue: scalar.text) { return choice }
    let known = type.allCases.map(\.rawValue)
    findings.error(
      .invalidValue, "\"\(scalar.text)\" is not a value for \(what)\(origin(scalar))", at: node.range,
      hint: NearestName.hint(for: scalar.text, in: Array(known)))
    // Values that depend on it are read as if it were right.
    return NearestName.of(scalar.text, in: known).flatMap(Choice.init)
  }

  /// `true` or `false`, and none of the words that only some YAML readers accept for them.
  ///
  /// - Parameter shapes: other possible values, for the hint.
  func truth(_ node: Node, _ what: String, or shapes: String? = nil) -> Bool? {
    guard let scalar = scalar(node, what) else { return nil }
    switch scalar.text {
    case "true": return true
    case "false": return false
    default:
      return refuse(
        .invalidValue, "\"\(scalar.text)\" is not a value for \(what)\(origin(scalar))", at: node.range,
        hint: shapes.map { "true, false or \($0)" } ?? "true or false")
    }
  }

  func scalar(_ node: Node, _ what: String) -> Node.Scalar? {
    guard case .scalar(let scalar) = node.content else {
      return refuse(
        .wrongType, "expected text for \(what), found \(node.content.kind)", at: node.range,
        hint: node.bracedName.map(Self.braceHint))
    }
    return scalar.isUnusable ? nil : scalar
  }

  static func braceHint(_ name: String) -> String {
    "write \"{\(name)}\" in quotes; without them YAML reads a mapping"
  }

  /// The variable that the text came from, for sentences about it.
  func origin(_ scalar: Node.Scalar) -> String {
    guard let origin = scalar.origin else { return "" }
    return origin.isDefault
      ? " (the default of ${\(origin.variable)})" : " (from the environment variable \(origin.variable))"
  }

  // MARK: - Numbers

  func integer(_ node: Node, _ what: String, in range: ClosedRange<Int>) -> Int? {
    guard let scalar = scalar(node, what) else { return nil }
    let bounds = "use a value from \(range.lowerBound) to \(range.upperBound)"
    if let ambiguity = AmbiguousScalar(scalar, where: .number) {
      let number = ambiguity.plainNumber.flatMap { Int($0) }
      let hint = number.map { range.contains($0) ? "write \($0)" : bounds }
      return refuse(ambiguity, what, scalar, at: node.range, hint: hint ?? "write a whole number")
    }
    guard let number = Int(scalar.text), !scalar.text.hasPrefix("+") else {
      return refuse(
        .wrongType, "expected a whole number for \(what), not \"\(scalar.text)\"\(origin(scalar))",
        at: node.range)
    }
    guard range.contains(number) else {
      return refuse(.outOfRange, "\(what) is \(number)", at: node.range, hint: bounds)
    }
    return number
  }

  /// A time with its unit: `500ms`, `20s`, `5m`, `1h`, `1d`.
  func duration(_ node: Node, _ what: String, in range: ClosedRange<Duration>) -> Duration? {
    quantity(
      node, what, "time", Duration.units, least: range.lowerBound.written, most: range.upperBound.written
    ) { number, size in
      // Multiplied only where the product is no larger than the bound: a larger one may be none at all.
      guard Double(number) <= range.upperBound / size, range.contains(size * number) else { return nil }
      return size * number
    }
  }

  /// A size with its unit: `512B`, `64KiB`, `1MiB`, `1GiB`.
  func byteCount(_ node: Node, _ what: String, in range: ClosedRange<ByteCount>) -> ByteCount? {
    let units = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)]
    return quantity(
      node, what, "size", units, least: "\(range.lowerBound)", most: "\(range.upperBound)"
    ) { number, size in
      let (bytes, overflows) = number.multipliedReportingOverflow(by: size)
      guard !overflows, range.contains(ByteCount(bytes: bytes)) else { return nil }
      return ByteCount(bytes: bytes)
    }
  }

  /// A number with its unit. What a hint proposes is in the range.
  ///
  /// - Parameters:
  ///   - units: the likeliest first.
  ///   - value: nil where it is out of range.
  private func quantity<Size, Value>(
    _ node: Node, _ what: String, _ kind: String, _ units: [(name: String, size: Size)], least: String,
    most: String, _ value: (Int, Size) -> Value?
  ) -> Value? {
    guard let scalar = scalar(node, what) else { return nil }
    let names = kind == "time" ? "ms, s, m, h, d" : units.map(\.name).joined(separator: ", ")
    let digits = scalar.text.prefix { $0.isASCII && $0.isNumber }
    let unit = String(scalar.text.dropFirst(digits.count))
    if scalar.text.contains(":"), let ambiguity = AmbiguousScalar(scalar.text) {
      return refuse(ambiguity, what, scalar, at: node.range, hint: "write a number and a unit: \(names)")
    }
    let range = "use a value from \(least) to \(most)"
    // Nil where it is too large for any number here.
    let number = Int(digits)
    func isFit(_ size: Size) -> Bool { number.flatMap { value($0, size) } != nil }
    guard !digits.isEmpty, unit.isEmpty || units.contains(where: { $0.name == unit }) else {
      let name = digits.isEmpty ? nil : Self.meantUnit(unit, of: units.map(\.name))
      let meant = units.first { $0.name == name }.map { isFit($0.size) ? "write \(digits)\($0.name)" : range }
      return refuse(
        .invalidValue,
        "expected a \(kind) with its unit for \(what), not \"\(scalar.text)\"\(origin(scalar))",
        at: node.range, hint: meant ?? "write a number and a unit: \(names)")
    }
    guard let size = units.first(where: { $0.name == unit })?.size else {
      let readings = units.filter { isFit($0.size) }.prefix(2).map { "\(digits)\($0.name)" }
      return refuse(
        .missingUnit, "\(what) is \(digits) without a unit\(origin(scalar))", at: node.range,
        hint: readings.isEmpty ? range : "write \(readings.joined(separator: " or "))")
    }
    if let found = number.flatMap({ value($0, size) }) { return found }
    return refuse(.outOfRange, "\(what) is \(scalar.text)", at: node.range, hint: range)
  }

  /// The unit that another one was most likely meant to be: in other capitals, written out, or of 1000 in place of 1024.
  private static func meantUnit(_ unit: String, of known: [String]) -> String? {
    let unit = unit.filter { $0 != " " }.lowercased()
    return known.first { $0.lowercased() == unit } ?? otherUnits[unit]
  }

  private static let otherUnits = [
    "k": "KiB", "kb": "KiB", "m": "MiB", "mb": "MiB", "g": "GiB", "gb": "GiB",
    "byte": "B", "bytes": "B", "sec": "s", "secs": "s", "second": "s", "seconds": "s", "min": "m",
    "mins": "m", "minute": "m", "minutes": "m", "hr": "h", "hour": "h", "hours": "h", "day": "d", "days": "d",
    "msec": "ms", "millisecond": "ms", "milliseconds": "ms",
  ]

  // MARK: - Lists

  /// The items of a list.
  func list(_ node: Node, _ what: String) -> [Node]? {
    guard case .sequence(let items) = node.content else {
      if node.isUnusable { return nil }
      return refuse(
        .wrongType, "expected a list for \(what), found \(node.content.kind)", at: node.range,
        hint: "write [A, B], or a line \"- A\" for each entry")
    }
    return items
  }

  /// A list of texts.
  func words(_ node: Node, _ what: String) -> [Located<String>]? {
    if case .scalar(let scalar) = node.content, !scalar.isUnusable, scalar.origin == nil,
      let words = Self.separated(scalar.text)
    {
      findings.error(
        .wrongType, "expected a list for \(what), found a single value", at: node.range,
        hint: "write [\(words.joined(separator: ", "))]")
      // What depends on it is read as if it were a list.
      return words.map { Located($0, at: node.range) }
    }
    return list(node, what)?.compactMap { item in
      word(item, "an entry of \(what)").map { Located($0, at: item.range) }
    }
  }
}

extension Reading {
  /// The words of a text with commas or spaces between them; nil for any other text.
  fileprivate static func separated(_ text: String) -> [String]? {
    let words = text.split { $0 == "," || $0 == " " }.map(String.init)
    let isOfWords = words.allSatisfy { word in
      word.utf8.allSatisfy { $0.isLetterOrDigit || "_-./".utf8.contains($0) }
    }
    return isOfWords && !words.isEmpty && words.count <= 16 ? words : nil
  }
}

extension ByteCount: CustomStringConvertible {
  package var description: String {
    for (unit, size) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
    where bytes >= size && bytes % size == 0 { return "\(bytes / size)\(unit)" }
    return "\(bytes)B"
  }
}
