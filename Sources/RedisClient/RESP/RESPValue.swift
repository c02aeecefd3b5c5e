/// A value that Redis sends (RESP2, Redis serialization protocol specification).
public indirect enum RESPValue: Sendable, Hashable {
  case simpleString([UInt8])
  case error(String)
  case integer(Int64)
  case bulkString([UInt8])
  /// The length of a string that was too long to be kept. Bytes.
  case oversized(Int)
  case null
  case array([RESPValue])

  /// The text of a string or an error.
  public var text: String? {
    switch self {
    case .bulkString(let bytes), .simpleString(let bytes): String(decoding: bytes, as: UTF8.self)
    case .error(let message): message
    case .integer, .oversized, .null, .array: nil
    }
  }

  /// A message of a subscription: its kind, the name of its channel behind the prefix, and what it carries.
  ///
  /// - Returns: nil for anything else, and for a channel with another prefix.
  public func announcement(under prefix: String) -> (kind: String, name: String, content: RESPValue)? {
    guard case .array(let parts) = self, parts.count == 3, let kind = parts[0].text,
      let channel = parts[1].text, channel.hasPrefix(prefix)
    else { return nil }
    return (kind, String(channel.dropFirst(prefix.count)), parts[2])
  }
}

/// Why bytes are not valid RESP. The connection cannot be used after it.
struct RESPFault: Error, Sendable, Hashable, CustomStringConvertible {
  var description: String

  init(_ description: String) {
    self.description = description
  }
}
