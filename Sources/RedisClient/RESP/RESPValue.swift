/// A value that Redis sends (RESP2 and RESP3, Redis serialization protocol specification).
public indirect enum RESPValue: Sendable, Hashable {
  case simpleString([UInt8])
  case error(String)
  case integer(Int64)
  case double(Double)
  case boolean(Bool)
  /// Also a verbatim string without its format, and the digits of a big number.
  case bulkString([UInt8])
  /// The length of a string that was too long to be kept. Bytes.
  case oversized(Int)
  case null
  case array([RESPValue])
  /// Keys and values alternately.
  case map([RESPValue])
  case set([RESPValue])
  /// A message that is not the reply to a command.
  case push([RESPValue])
}

extension RESPValue {
  /// The text of a string or an error.
  public var text: String? {
    switch self {
    case .bulkString(let bytes), .simpleString(let bytes): String(decoding: bytes, as: UTF8.self)
    case .error(let message): message
    default: nil
    }
  }
}

/// Why bytes are not valid RESP. The connection cannot be used after it.
package struct RESPFault: Error, Sendable, Hashable, CustomStringConvertible {
  package var description: String

  init(_ description: String) {
    self.description = description
  }
}
