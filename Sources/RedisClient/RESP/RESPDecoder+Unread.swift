// For the process that goes on with the connection.

extension RESPDecoder {
  /// Bytes from which another decoder reads what this one would still read; nil where a string is being skipped, of which nothing is
  /// kept, and after a fault.
  var unread: [UInt8]? {
    guard fault == nil, openString?.unskipped == nil else { return nil }
    var written: [UInt8] = []
    for array in open {
      written.appendRESP(line: "*\(array.elements.count + array.missing)")
      for element in array.elements where !element.append(to: &written) { return nil }
    }
    if let openString { written.appendRESP(line: "$\(openString.length)") }
    return written + bytes[position...]
  }
}

extension RESPValue {
  /// As Redis sends it.
  ///
  /// - Returns: false if its bytes were not kept.
  fileprivate func append(to bytes: inout [UInt8]) -> Bool {
    switch self {
    case .simpleString(let text): bytes += Array("+".utf8) + text + Array("\r\n".utf8)
    case .error(let message): bytes.appendRESP(line: "-\(message)")
    case .integer(let number): bytes.appendRESP(line: ":\(number)")
    case .null: bytes.appendRESP(line: "$-1")
    case .bulkString(let content): bytes.appendRESP(string: content)
    case .array(let elements):
      bytes.appendRESP(line: "*\(elements.count)")
      return elements.allSatisfy { $0.append(to: &bytes) }
    case .oversized: return false
    }
    return true
  }
}
