import Bytes

/// How the end of a message's body is found (RFC 9112 section 6).
public enum BodyFraming: Sendable, Equatable {
  /// Neither of the two fields announces a body.
  case none
  /// Bytes, as `Content-Length` says.
  case length(Int)
  case chunked
}

extension RequestHead {
  /// Reads the fields that say how long the body is. What two servers could understand differently is refused (section 6.3, and
  /// section 11.2 on request smuggling).
  package func bodyFraming() throws(RequestFault) -> BodyFraming {
    let codings = values(of: "transfer-encoding")
    let lengths = values(of: "content-length")
    guard codings.isEmpty || lengths.isEmpty else {
      throw RequestFault.badRequest(
        "the Transfer-Encoding header is not supported beside a Content-Length header")
    }
    if !codings.isEmpty {
      guard codings.count == 1, codings[0].lowercased() == "chunked" else {
        throw RequestFault.badRequest("the body has a transfer coding other than chunked")
      }
      guard minorVersion >= 1 else {
        throw RequestFault.badRequest("HTTP/1.0 does not support Transfer-Encoding")
      }
      return .chunked
    }
    guard let length = lengths.first else { return .none }
    guard lengths.count == 1 else {
      throw RequestFault.badRequest("the request has more than one Content-Length header")
    }
    guard !length.isEmpty, length.isOfDigits else {
      throw RequestFault.badRequest("the Content-Length header is not one number")
    }
    guard let count = UInt64(length) else {
      throw RequestFault.badRequest("the number in the Content-Length header is too large")
    }
    // Larger than any limit.
    return .length(Int(clamping: count))
  }
}
