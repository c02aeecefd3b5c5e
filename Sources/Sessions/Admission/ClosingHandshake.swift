import Transport
import WebSocketCore

/// The end of a connection whose handshake was accepted only to be closed (`refusals: close`): the client has a time to answer the
/// close frame, and nothing else that it sends matters.
final class ClosingHandshake {
  /// A longer message ends the wait, so that nothing of any size is kept. Bytes.
  private static let longestMessage = 125
  /// A client that sends more than this does not wait for anything. Bytes.
  private static let mostBytes = 64 * 1024

  private let connection: Connection
  private let deadline: Timer
  private var decoder = MessageDecoder(maximumMessage: longestMessage)
  private var bytesLeft = mostBytes

  /// The close frame was written.
  init(_ connection: Connection) {
    self.connection = connection
    // Unowned: `cancel` is called at its end.
    deadline = connection.reactor.timer { [unowned connection] in connection.abort() }
    deadline.schedule(after: Farewell.answer)
  }

  func received(_ bytes: inout MutableRawSpan) {
    bytesLeft -= bytes.byteCount
    guard bytesLeft > 0 else { return stop() }
    do throws(ProtocolViolation) {
      try decoder.decode(&bytes, into: self)
    } catch {
      stop()
    }
  }

  /// The client has answered, or is not waited for any more. RFC 6455 section 7.1.1: the server closes first.
  func stop() {
    connection.finish(timeout: Farewell.lingering)
  }

  /// The connection is closed.
  func cancel() {
    deadline.cancel()
  }
}

extension ClosingHandshake: FrameSink {
  func message(_ kind: MessageKind, _ payload: RawSpan) -> Flow { .proceed }
  func ping(_ payload: RawSpan) -> Flow { .proceed }
  func pong(_ payload: RawSpan) -> Flow { .proceed }

  func close(_ code: CloseCode?, _ reason: RawSpan) -> Flow {
    stop()
    return .stop
  }
}

extension Handshake {
  /// The 101 answer to a client that is closed at once.
  ///
  /// A browser that offers subprotocols shows no code where none of them is chosen. Which one it is does not matter; a token is not
  /// sent back if there is another.
  var refusalResponse: [UInt8] {
    let plain = subprotocols.first { !$0.hasPrefix(Credentials.subprotocolMark) }
    return response(subprotocol: plain ?? subprotocols.first)
  }
}
