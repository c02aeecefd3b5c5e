import Bytes

/// Annotations that GitHub's workflow log turns into marks at the lines.
struct GitHubRenderer {
  func render(_ report: FindingReport) -> String {
    let omission = report.omission.map { "::notice title=sluice::\(escaped($0, inProperty: false))\n" }
    return report.findings.map { line($0) + "\n" }.joined() + (omission ?? "")
  }

  private func line(_ finding: Finding) -> String {
    var properties: [String] = []
    if let range = finding.range {
      properties.append("file=\(escaped(range.file.path, inProperty: true))")
      properties.append("line=\(range.start.line),col=\(range.start.column)")
      if range.isInOneLine { properties.append("endColumn=\(range.end.column)") }
    }
    properties.append("title=\(finding.code.rawValue)")
    let head = "::\(finding.severity.rawValue) \(properties.joined(separator: ","))"
    return "\(head)::\(escaped(finding.sentence, inProperty: false))"
  }

  /// Escapes text in the way that GitHub's runner decodes (`%25` and others).
  private func escaped(_ text: String, inProperty: Bool) -> String {
    var result = ""
    // Scalar by scalar, because "\r\n" is a single character, and neither of the two.
    for scalar in text.unicodeScalars {
      switch scalar {
      case "%": result += "%25"
      case "\r": result += "%0D"
      case "\n": result += "%0A"
      case ":" where inProperty: result += "%3A"
      case "," where inProperty: result += "%2C"
      // The log is also read in a terminal, which would obey control characters.
      default: result += String(scalar).printable
      }
    }
    return result
  }
}
