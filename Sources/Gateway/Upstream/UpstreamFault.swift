import NIOHTTP1

/// What a server behind Sluice did that HTTP does not allow, or did for too long; in the operator's words.
enum UpstreamFault: Error, Equatable, CustomStringConvertible {
  /// It sent bytes while no request was under way.
  case unasked
  /// A status below 200 that is no interim one.
  case status(Int)
  case switchedProtocols
  case interimAnswers
  case tooLong
  case field(String)
  case coding(String)
  /// A second head, or a body without one: what the decoder before us should never let through.
  case disorder
  case takesNothing
  case endedEarly
  /// It closed a connection that had been kept since an earlier request, and answered nothing.
  case closedIdle
  /// It closed a new connection, and answered nothing.
  case closedUnanswered
  /// The decoder's name for what it found.
  case noHTTP(String)

  var description: String {
    switch self {
    case .unasked: "it sent bytes that no request had asked for"
    case .status(let status): "it answered with the status \(status), and HTTP knows none below 100"
    case .switchedProtocols: "it switched to another protocol, which no request had asked for"
    case .interimAnswers: "it sent more than \(AnswerRules.mostInterimAnswers) interim answers (1xx)"
    case .tooLong: "the head, a chunk's extension or the trailer of its answer is longer than 64 KiB"
    case .field(let name): "the field \(name) of its answer has control characters"
    case .coding(let coding): "its answer has the transfer coding \(coding), and only chunked was asked for"
    case .disorder: "the parts of its answer are out of order"
    case .takesNothing: "it does not read the request"
    case .endedEarly: "it closed the connection before the end of its answer"
    case .closedIdle:
      "it closed an idle connection while the request was on its way, and such a request is not sent twice; keep idle_timeout "
        + "shorter than the server's own keep-alive time"
    case .closedUnanswered: "it closed the connection before it answered"
    case .noHTTP(let found): "its answer is no HTTP/1.1: \(found)"
    }
  }

  /// - Parameter error: what NIO's decoder threw.
  /// - Returns: nil where it is no error of the decoder.
  init?(decoding error: any Error) {
    switch error {
    case HTTPParserError.invalidEOFState: self = .endedEarly
    case HTTPParserError.headerOverflow: self = .tooLong
    case let error as HTTPParserError: self = .noHTTP("\(error)")
    case is NIOHTTPDecoderError: self = .unasked
    default: return nil
    }
  }
}
