import Bytes
import WebSocketCore

/// Reads the answer to one POST from bytes as they arrive: interim answers, the head, and a body of any framing. A pure value.
struct HTTPAnswerReader {
  enum Step: Equatable {
    case incomplete
    case complete(UpstreamFetcher.Answer, Next)
    /// The text says what is wrong, for the operator.
    case malformed(String)
  }

  /// What becomes of the connection after an answer.
  enum Next: Equatable {
    case anotherRequest
    /// The server ends it. Who waits for that leaves it to the server to keep the ports busy for a minute (RFC 9293 section 3.6.1).
    case endOfServer
    /// Whatever comes on it is nothing that was asked for.
    case nothing
  }

  private enum Part {
    case head
    case body(BodyReader)
    /// The body ends with the connection.
    case rest
  }

  /// The longest body that is kept. Bytes.
  private let longest: Int
  private var heads = ResponseReader()
  private var part = Part.head
  /// Nil until it is complete.
  private var head: ResponseHead?
  private var body: [UInt8] = []
  /// Whether any byte of an answer has come.
  private(set) var hasBegun = false

  init(longest: Int) {
    self.longest = longest
  }

  /// Must not be called again after `complete` or `malformed`.
  mutating func read(_ bytes: RawSpan) -> Step {
    hasBegun = hasBegun || bytes.byteCount > 0
    switch part {
    case .head: return readHead(bytes)
    case .body(var reader):
      let step = readBody(bytes, &reader)
      part = .body(reader)
      return step
    case .rest: return readRest(bytes)
    }
  }

  /// The server has ended the connection.
  mutating func end() -> Step {
    guard case .rest = part else {
      return .malformed(
        hasBegun
          ? "the server closed the connection before the end of the answer"
          : "the server closed the connection before it answered")
    }
    return complete(.nothing)
  }

  private mutating func readHead(_ bytes: RawSpan) -> Step {
    switch heads.read(bytes) {
    case .incomplete: return .incomplete
    case .malformed(let fault): return .malformed(fault)
    case .complete(let head):
      guard head.status != 101 else {
        return .malformed("the server switched to another protocol, which no request had asked for")
      }
      self.head = head
      return beginBody(of: head, heads.rest)
    }
  }

  private mutating func beginBody(of head: ResponseHead, _ first: [UInt8]) -> Step {
    do throws(RequestFault) {
      guard let framing = try head.bodyFraming() else {
        part = .rest
        return readRest(first.rawBytes)
      }
      if case .length(let length) = framing { body.reserveCapacity(min(length, longest)) }
      part = .body(BodyReader(framing))
      return read(first.rawBytes)
    } catch {
      return .malformed(Self.text(of: error))
    }
  }

  private mutating func readBody(_ bytes: RawSpan, _ reader: inout BodyReader) -> Step {
    var offset = 0
    while true {
      switch reader.next(in: bytes, at: &offset) {
      case .content(let range):
        guard body.count + range.count <= longest else { return tooLong }
        body.append(copying: bytes.extracting(range))
      case .incomplete: return .incomplete
      case .complete:
        guard offset == bytes.byteCount else { return complete(.nothing) }
        return complete(head?.keepsConnection == true ? .anotherRequest : .endOfServer)
      case .malformed(let fault): return .malformed(Self.text(of: fault))
      }
    }
  }

  private mutating func readRest(_ bytes: RawSpan) -> Step {
    guard body.count + bytes.byteCount <= longest else { return tooLong }
    body.append(copying: bytes)
    return .incomplete
  }

  private var tooLong: Step {
    .complete(answer(body: nil), .nothing)
  }

  private func complete(_ next: Next) -> Step {
    .complete(answer(body: body), next)
  }

  private func answer(body: [UInt8]?) -> UpstreamFetcher.Answer {
    .init(status: head?.status ?? 0, fields: head?.fields ?? [], body: body)
  }

  private static func text(of fault: RequestFault) -> String {
    guard case .badRequest(let text) = fault else { return "the answer has too much between its chunks" }
    return "the answer is malformed: \(text)"
  }
}
