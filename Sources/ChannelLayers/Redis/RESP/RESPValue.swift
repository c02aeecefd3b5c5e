/// A value that Redis sends (RESP2 and RESP3, Redis serialization protocol specification).
package indirect enum RESPValue: Sendable, Hashable {
  case simpleString([UInt8])
  case error(String)
  case integer(Int64)
  case double(Double)
  case boolean(Bool)
  /// Also a verbatim string without its format, and a big number in its digits.
  case bulkString([UInt8])
  case null
  case array([RESPValue])
  /// Keys and values in turn.
  case map([RESPValue])
  case set([RESPValue])
  /// Not an answer to a command.
  case push([RESPValue])
}

/// Why bytes are not RESP. The connection is of no use after it.
package struct RESPFault: Error, Sendable, Hashable, CustomStringConvertible {
  package var description: String

  init(_ description: String) {
    self.description = description
  }
}
