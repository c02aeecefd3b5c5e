/// `compression:`, at any of its places.
enum CompressionReader {
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
    guard let mapping = MappingCursor(node, .compression, reading) else { return outer }
    compression.level = mapping.integer("level") ?? compression.level
    compression.threshold = mapping.byteCount("threshold") ?? compression.threshold
    compression.keepsContext = mapping.truth("context_takeover") ?? compression.keepsContext
    compression.keepsClientContext =
      mapping.truth("client_context_takeover") ?? compression.keepsClientContext
    if let value = mapping.value("window") {
      compression.windowBits =
        readWindow(value, in: mapping.range(of: "window", \.integers), reading) ?? compression.windowBits
    }
    mapping.finish()
    return compression
  }

  /// A number of bits. If the value is a size, the finding names the number.
  private static func readWindow(_ node: Node, in range: ClosedRange<Int>, _ reading: Reading) -> Int? {
    if case .scalar(let scalar) = node.content,
      let bits = range.first(where: { ByteCount(bytes: 1 << $0).description == scalar.text })
    {
      return reading.refuse(
        .wrongType, "\"window\" is a number of bits, not \"\(scalar.text)\"\(reading.origin(scalar))",
        at: node.range, hint: "write \(bits): 2 to the power of \(bits) bytes")
    }
    return reading.integer(node, "\"window\"", in: range)
  }
}
