/// `compression:`, at any of its places.
enum CompressionReader {
  private static let thresholdRange = ByteCount(bytes: 1)...ByteCount(bytes: 1 << 30)

  /// `true`, `false`, or a mapping, on top of the outer settings.
  static func read(
    _ node: Node?, over outer: CompressionConfiguration?, _ reading: Reading
  ) -> CompressionConfiguration? {
    guard let node else { return outer }
    var compression = outer ?? CompressionConfiguration()
    if case .scalar = node.content {
      let mapping = "{level, threshold, context_takeover, client_context_takeover, window}"
      guard let isOn = reading.truth(node, "\"compression\"", or: mapping) else { return outer }
      return isOn ? compression : nil
    }
    guard let mapping = MappingCursor(node, "\"compression\"", reading) else { return outer }
    if let value = mapping.value("level") {
      compression.level = reading.integer(value, "\"level\"", in: 1...9) ?? compression.level
    }
    if let value = mapping.value("threshold") {
      compression.threshold =
        reading.byteCount(value, "\"threshold\"", in: thresholdRange) ?? compression.threshold
    }
    if let value = mapping.value("context_takeover") {
      compression.keepsContext = reading.truth(value, "\"context_takeover\"") ?? compression.keepsContext
    }
    if let value = mapping.value("client_context_takeover") {
      compression.keepsClientContext =
        reading.truth(value, "\"client_context_takeover\"") ?? compression.keepsClientContext
    }
    if let value = mapping.value("window") {
      compression.windowBits = readWindow(value, reading) ?? compression.windowBits
    }
    mapping.finish()
    return compression
  }

  /// A number of bits. If the value is a size, the finding names the number.
  private static func readWindow(_ node: Node, _ reading: Reading) -> Int? {
    let range = 9...15
    if case .scalar(let scalar) = node.content,
      let bits = range.first(where: { ByteCount(bytes: 1 << $0).description == scalar.text })
    {
      reading.findings.error(
        .wrongType, "\"window\" is a number of bits, not \"\(scalar.text)\"\(reading.origin(scalar))",
        at: node.range,
        hint: "write \(bits): 2 to the power of \(bits) bytes")
      return nil
    }
    return reading.integer(node, "\"window\"", in: range)
  }
}
