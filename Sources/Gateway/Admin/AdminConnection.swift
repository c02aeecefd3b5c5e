import Bytes
import NIOCore
import NIOHTTP1
import Transport

/// One connection of a command: reads one request, and nothing behind it.
final class AdminConnection: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart

  /// What has become of a connection's request.
  enum Outcome: Sendable {
    case request(AdminRequest)
    /// Its body is larger than any that makes sense.
    case tooLarge
  }

  private enum State {
    case begun
    case body(AdminRequest)
    /// The rest of what comes is dropped.
    case complete
  }

  private var state = State.begun
  private var deadline: Scheduled<Void>?
  private let complete: (Outcome) -> Void

  /// How long a request may take to arrive.
  private static let patience = TimeAmount.seconds(5)
  private static let longestBody = 64 * 1024

  /// - Parameter complete: called once, on the event loop.
  init(_ complete: @escaping (Outcome) -> Void) {
    self.complete = complete
  }

  func handlerAdded(context: ChannelHandlerContext) {
    let channel = context.channel
    deadline = context.eventLoop.scheduleTask(in: Self.patience) { channel.close(promise: nil) }
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    deadline?.cancel()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch (unwrapInboundIn(data), state) {
    case (.head(let head), .begun): state = .body(AdminRequest(head))
    case (.body(let bytes), .body(var request)):
      guard request.body.count + bytes.readableBytes <= Self.longestBody else { return end(.tooLarge) }
      // Taken out, so that the bytes are appended in place.
      state = .begun
      request.body += bytes.readableBytesView
      state = .body(request)
    case (.end, .body(let request)): end(.request(request))
    case (_, .complete), (.body, .begun), (.end, .begun), (.head, .body): return
    }
  }

  private func end(_ outcome: Outcome) {
    state = .complete
    deadline?.cancel()
    complete(outcome)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // A request that is none has been answered with 400.
    context.close(promise: nil)
  }
}

@available(*, unavailable)
extension AdminConnection: Sendable {}

extension AdminRequest {
  fileprivate init(_ head: HTTPRequestHead) {
    let path = head.uri.prefix { $0 != "?" }
    let fields = head.headers["authorization"]
    let token = fields.count == 1 ? BearerToken.read(fields[0]) : nil
    self.init(method: head.method.rawValue, path: String(path), token: token.map { String($0) })
  }
}
