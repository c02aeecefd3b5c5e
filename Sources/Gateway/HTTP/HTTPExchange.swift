import Routing
import Sessions
import Transport
import WebSocketCore

/// One HTTP request on a reactor, from its head to its answer. Confined to the reactor.
final class HTTPExchange {
  let request: RequestHead
  /// Who has sent it. Its place is kept until the answer was given to the kernel.
  let client: Client
  let path: RequestPath
  let match: RouteMatch
  let worker: WorkerSessions
  /// What is known of a head that has come before.
  let known: KnownPublisher?
  /// Called once if the client has gone before it was answered, so that nobody waits for the answer.
  var abandoned: (() -> Void)?
  /// Nil once it is answered or abandoned.
  private var connection: (any HTTPExchangeConnection)?

  init(
    _ request: RequestHead, of client: Client, _ path: RequestPath, _ match: RouteMatch,
    _ worker: WorkerSessions, known: KnownPublisher? = nil, on connection: any HTTPExchangeConnection
  ) {
    self.request = request
    self.client = client
    self.path = path
    self.match = match
    self.worker = worker
    self.known = known
    self.connection = connection
  }

  /// Why there is no body. What is no HTTP is not among it: the connection answers that itself, and ends.
  enum BodyFault: Error, Equatable {
    /// The request has none.
    case missing
    case tooLarge
    /// The share could not grow.
    case noMemory
    /// It took longer than `limits.handshake`.
    case late
  }

  /// Reads the body, whose client may be waiting for `100 Continue`, and calls back once: at once, or later on the reactor. It does
  /// not if the request is abandoned before.
  ///
  /// - Parameters:
  ///   - most: bytes; a longer announced length is refused before anything is read.
  ///   - share: grows with the received bytes, and not with the announced length, which costs a client nothing.
  func readBody(
    atMost most: Int, growing share: MemoryShare, _ completed: @escaping (Result<[UInt8], BodyFault>) -> Void
  ) {
    connection?.readBody(of: self, atMost: most, growing: share, completed)
  }

  /// Answers it, once. What was not read of the body is read and dropped, as far as it is there already; otherwise the connection
  /// ends.
  func answer(_ answer: HTTPAnswer) {
    let connection = connection
    self.connection = nil
    abandoned = nil
    connection?.answer(self, with: answer)
  }

  /// The client has gone, or has sent what is no HTTP.
  func abandon() {
    connection = nil
    let abandoned = abandoned
    self.abandoned = nil
    abandoned?()
  }
}

/// The connection that an exchange is on.
protocol HTTPExchangeConnection: AnyObject {
  func readBody(
    of exchange: HTTPExchange, atMost most: Int, growing share: MemoryShare,
    _ completed: @escaping (Result<[UInt8], HTTPExchange.BodyFault>) -> Void)
  func answer(_ exchange: HTTPExchange, with answer: HTTPAnswer)
}
