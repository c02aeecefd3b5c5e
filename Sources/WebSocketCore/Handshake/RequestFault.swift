/// What is wrong with the head of a request (RFC 9112), or with the opening handshake in it (RFC 6455 section 4.2.1).
public enum RequestFault: Error, Sendable, Equatable {
  /// The text says what is wrong, as a clause without a full stop.
  case badRequest(String)
  /// The head does not end within the bytes that are allowed.
  case headTooLong
  /// Another major version of HTTP (RFC 9110 section 2.5).
  case unsupportedHTTP
  /// A handshake over HTTP/1.0 (RFC 6455 section 4.2.1, point 1), as all the following ones.
  case httpVersion
  case methodNotGET
  case notAWebSocket
  case badConnectionHeader
  case unsupportedVersion
  case badKey
  case severalOrigins
  case badSubprotocol
  /// Section 9.1.
  case badExtensions
}
