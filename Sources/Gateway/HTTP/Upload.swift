import Hummingbird
import NIOCore
import NIOHTTP1
import Synchronization

/// The body of one request for its consumer, part by part on demand.
///
/// The connection's own stream allows one reader at a time, but an HTTP client reads when and for as long as it likes. So
/// `pump` is the only reader, and ends before the request does; the consumer gets only its output.
final class Upload: AsyncSequence, Sendable {
  /// The client did not send the whole announced body.
  struct BrokenOff: Error {}

  private let body: RequestBody
  /// Whether the client may wait for `100 Continue`.
  private let isExpectant: Bool
  private let channel: any Channel
  /// `Content-Length`; nil if the body is chunked.
  let length: Int?
  private let demands: AsyncStream<Void>
  private let demand: AsyncStream<Void>.Continuation
  private let parts: AsyncThrowingStream<ByteBuffer, any Error>
  private let part: AsyncThrowingStream<ByteBuffer, any Error>.Continuation
  private let clientFault = Mutex<(any Error)?>(nil)

  /// - Returns: nil if the request has no body.
  init?(_ request: Request, on channel: any Channel) {
    // The parser has checked that it is a number. One that does not fit is larger than any limit.
    length = request.headers[.contentLength].map { Int($0) ?? .max }
    guard length != nil || request.headers[.transferEncoding] != nil else { return nil }
    body = request.body
    isExpectant = request.headers[.expect] != nil
    self.channel = channel
    (demands, demand) = AsyncStream.makeStream()
    (parts, part) = AsyncThrowingStream.makeStream()
  }

  /// Why the body could not be read to its end, if that is the client's fault.
  var fault: (any Error)? { clientFault.withLock { $0 } }

  /// Reads the body from the connection: nothing before it is asked for, and nothing after it is cancelled.
  ///
  /// Later bytes of the client are lost, and with them the connection.
  func pump() async {
    var demands = demands.makeAsyncIterator()
    guard await demands.next() != nil else { return part.finish(throwing: CancellationError()) }
    do {
      if isExpectant { try await channel.triggerUserOutboundEvent(HTTPMessageHandler.BodyIsWanted()) }
      var count = 0
      // One part ahead of the demand, so that the end is known as soon as it arrives.
      for try await read in body {
        count += read.readableBytes
        guard await demands.next() != nil else { throw CancellationError() }
        part.yield(read)
      }
      if let length, count < length { throw BrokenOff() }
      part.finish()
    } catch {
      if !Task.isCancelled { clientFault.withLock { $0 = error } }
      part.finish(throwing: error)
    }
  }

  struct AsyncIterator: AsyncIteratorProtocol {
    fileprivate let demand: AsyncStream<Void>.Continuation
    fileprivate var parts: AsyncThrowingStream<ByteBuffer, any Error>.AsyncIterator

    mutating func next(isolation actor: isolated (any Actor)?) async throws -> ByteBuffer? {
      demand.yield()
      return try await parts.next(isolation: actor)
    }
  }

  func makeAsyncIterator() -> AsyncIterator {
    // The first demand starts the pump.
    demand.yield()
    return AsyncIterator(demand: demand, parts: parts.makeAsyncIterator())
  }
}
