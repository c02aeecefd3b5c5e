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
    guard fields.has("transfer-encoding") else {
      guard fields.has("content-length") else { return .none }
      return .length(try Self.length(fields.onlyValue(of: "content-length")))
    }
    let codings = values(of: "transfer-encoding")
    guard !fields.has("content-length") else {
      throw RequestFault.badRequest(
        "the Transfer-Encoding header is not supported beside a Content-Length header")
    }
    guard codings.count == 1, codings[0].lowercased() == "chunked" else {
      throw RequestFault.badRequest("the body has a transfer coding other than chunked")
    }
    guard minorVersion >= 1 else {
      throw RequestFault.badRequest("HTTP/1.0 does not support Transfer-Encoding")
    }
    return .chunked
  }

  private static func length(_ text: String?) throws(RequestFault) -> Int {
    try BodyFraming.length(text, of: "the request")
  }
}

extension ResponseHead {
  /// How the end of the body of an answer to POST is found, as strictly as for a request. Nil for a body that ends with the connection.
  package func bodyFraming() throws(RequestFault) -> BodyFraming? {
    guard status != 204, status != 304 else { return BodyFraming.none }
    guard fields.has("transfer-encoding") else {
      guard fields.has("content-length") else { return nil }
      return .length(try BodyFraming.length(fields.onlyValue(of: "content-length"), of: "the answer"))
    }
    let codings = fields.values(of: "transfer-encoding")
    guard !fields.has("content-length") else {
      throw RequestFault.badRequest("there are a Transfer-Encoding and a Content-Length header")
    }
    guard codings.count == 1, codings[0].lowercased() == "chunked", minorVersion >= 1 else {
      throw RequestFault.badRequest("the body has a transfer coding other than chunked")
    }
    return .chunked
  }
}

extension BodyFraming {
  /// - Parameters:
  ///   - text: nil if there are several.
  ///   - message: has the field.
  fileprivate static func length(_ text: String?, of message: String) throws(RequestFault) -> Int {
    guard let text else {
      throw RequestFault.badRequest("\(message) has more than one Content-Length header")
    }
    guard !text.isEmpty, text.isOfDigits else {
      throw RequestFault.badRequest("the Content-Length header is not one number")
    }
    guard let count = UInt64(text) else {
      throw RequestFault.badRequest("the number in the Content-Length header is too large")
    }
    // Larger than any limit.
    return Int(clamping: count)
  }
}
