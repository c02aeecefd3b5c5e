import NIOHTTP1

/// A violation of HTTP by an upstream, or a timeout, in words for the operator.
package enum UpstreamFault: Error, Equatable, CustomStringConvertible {
  /// The server sent bytes while no request was under way.
  case unasked
  /// A status below 200 that is not an interim one.
  case status(Int)
  case switchedProtocols
  case interimAnswers
  case tooLong
  case field(String)
  case coding(String)
  /// A second head, or a body without a head, which the decoder should never pass on.
  case disorder
  case takesNothing
  case endedEarly
  /// The server closed a connection that had been kept since an earlier request, right after this request was sent.
  case closedIdle
  /// The server closed a new connection without answering, or a kept one while it had the request.
  case closedUnanswered
  /// The decoder's name for the fault.
  case noHTTP(String)

  package var description: String {
    switch self {
    case .unasked: "the server sent bytes that no request had asked for"
    case .status(let status): "the server answered with the status \(status), which HTTP does not have"
    case .switchedProtocols: "the server switched to another protocol, which no request had asked for"
    case .interimAnswers: "the server sent more than \(AnswerRules.mostInterimAnswers) interim answers (1xx)"
    case .tooLong: "the head, a chunk's extension or the trailer of the answer is longer than 64 KiB"
    case .field(let name): "the field \(name) of the answer has control characters"
    case .coding(let coding):
      "the server's answer has the transfer coding \(coding), and only chunked is supported"
    case .disorder: "the parts of the answer are out of order"
    case .takesNothing: "the server did not read the request"
    case .endedEarly: "the server closed the connection before the end of the answer"
    case .closedIdle:
      "the server closed an idle connection while the request was on its way, and such a request is not sent twice; keep idle_timeout "
        + "shorter than the server's own keep-alive time"
    case .closedUnanswered: "the server closed the connection before it answered"
    case .noHTTP(let found): "the server's answer is not HTTP/1.1: \(found)"
    }
  }

  /// - Parameter error: the error of NIO's decoder.
  /// - Returns: nil if it is not one of the decoder's errors.
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
