extension [UInt8] {
  /// Appends a line, `*3` for example.
  mutating func appendRESP(line: String) {
    append(contentsOf: line.utf8)
    append(contentsOf: "\r\n".utf8)
  }

  /// Appends a string with its length.
  mutating func appendRESP(string: [UInt8]) {
    appendRESP(line: "$\(string.count)")
    append(contentsOf: string)
    append(contentsOf: "\r\n".utf8)
  }
}
