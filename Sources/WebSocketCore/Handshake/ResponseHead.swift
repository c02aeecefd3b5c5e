import Bytes

/// The head of an HTTP/1 response: the status line and the header fields, read as strictly as a request's.
public struct ResponseHead: Sendable, Equatable {
  public var status: Int
  /// May be empty.
  public var phrase: String
  public var fields: [HeaderField]
  /// Of HTTP/1.
  public var minorVersion = 1

  public typealias Parsed = HeadReading<ResponseHead, String>

  /// Reads a response head from the start of the bytes.
  public static func parse(_ bytes: RawSpan, maximumLength: Int = 64 * 1024) -> Parsed {
    var lines = HeadLines(maximumLength: maximumLength)
    return parse(bytes, &lines)
  }

  /// - Parameters:
  ///   - bytes: all bytes of the head so far.
  ///   - lines: the lines that earlier calls found.
  static func parse(_ bytes: RawSpan, _ lines: inout HeadLines) -> Parsed {
    do throws(RequestFault) {
      guard try lines.find(in: bytes), let first = lines.ranges.first else { return .incomplete }
      guard var head = statusLine(bytes.extracting(first)) else {
        return .malformed("the answer is not an HTTP/1 response")
      }
      guard lines.ranges.count - 1 <= mostFields else {
        return .malformed("the head of the answer has more than \(mostFields) fields")
      }
      head.fields = try lines.fields(of: bytes)
      return .complete(head, length: lines.length)
    } catch {
      // Lines and fields have no other faults than these two.
      guard case .badRequest(let fault) = error else { return .malformed(tooLong) }
      return .malformed("the answer is malformed: \(fault)")
    }
  }

  static let tooLong = "the head of the answer is too long"

  /// The limit that NIO has for an HTTP answer.
  private static let mostFields = 256

  /// RFC 9112 section 4: HTTP-version SP status-code SP [ reason-phrase ].
  private static func statusLine(_ line: RawSpan) -> ResponseHead? {
    let isNewer = line.begins(with: "HTTP/1.1 ")
    guard isNewer || line.begins(with: "HTTP/1.0 "), line.byteCount >= 12,
      line.byteCount == 12 || line[12] == UInt8(ascii: " ")
    else { return nil }
    var status = 0
    for offset in 9..<12 {
      guard line[offset].isDigit else { return nil }
      status = 10 * status + Int(line[offset] - UInt8(ascii: "0"))
    }
    guard (100...599).contains(status) else { return nil }
    return ResponseHead(
      status: status, phrase: line.string(min(13, line.byteCount)..<line.byteCount), fields: [],
      minorVersion: isNewer ? 1 : 0)
  }

  /// Whether the server takes another request on the connection (RFC 9112 section 9.3).
  public var keepsConnection: Bool {
    let options = fields.members(of: "connection").map { $0.lowercased() }
    return minorVersion == 1 ? !options.contains("close") : options.contains("keep-alive")
  }
}
