/// A value that Redis sends (RESP2 and RESP3, Redis serialization protocol specification).
package indirect enum RESPValue: Sendable, Hashable {
  case simpleString([UInt8])
  case error(String)
  case integer(Int64)
  case double(Double)
  case boolean(Bool)
  /// Also a verbatim string without its format, and a big number in its digits.
  case bulkString([UInt8])
  /// A string that is longer than what is kept; its length. Bytes.
  case oversized(Int)
  case null
  case array([RESPValue])
  /// Keys and values in turn.
  case map([RESPValue])
  case set([RESPValue])
  /// Not an answer to a command.
  case push([RESPValue])
}

extension RESPValue {
  /// Of a string or an error.
  package var text: String? {
    switch self {
    case .bulkString(let bytes), .simpleString(let bytes): String(decoding: bytes, as: UTF8.self)
    case .error(let message): message
    default: nil
    }
  }
}

/// Why bytes are not RESP. The connection is of no use after it.
package struct RESPFault: Error, Sendable, Hashable, CustomStringConvertible {
  package var description: String

  init(_ description: String) {
    self.description = description
  }
}
