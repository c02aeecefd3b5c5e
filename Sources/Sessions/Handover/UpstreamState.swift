import Bytes
import Transport
import WebSocketCore

/// The upstream's side of a proxied session, as a record.
struct UpstreamState: Recorded {
  var connection = ConnectionState(descriptor: -1)
  var decoder: DecoderState?
  /// Nanoseconds of the monotonic clock.
  var lastReceived: UInt64 = 0
  var pingedAt: UInt64?
  var target: [UInt8]?

  init(_ connection: ConnectionState) {
    self.connection = connection
  }

  init(from record: inout RecordReader) throws(RecordedFault) {
    while let field = try record.next() {
      switch field.number {
      case 1: connection = try field.record()
      case 2: decoder = try field.record()
      case 3: lastReceived = try field.time()
      case 4: pingedAt = try field.time()
      case 5: target = try field.bytes()
      default: break
      }
    }
    guard connection.descriptor >= 0 else { throw RecordedFault("an upstream has no connection") }
  }

  func write(to record: inout RecordWriter) {
    record.add(1, connection)
    if let decoder { record.add(2, decoder) }
    record.add(3, lastReceived)
    if let pingedAt { record.addAlways(4, pingedAt) }
    if let target { record.addAlways(5, target.rawBytes) }
  }
}

extension UpstreamSession {
  func handedState(_ chunks: UnsentChunks) -> UpstreamState? {
    guard let connection = connection.state(chunks) else { return nil }
    var handed = UpstreamState(connection)
    handed.decoder = decoder.state
    handed.target = target
    if let (lastReceived, pingedAt) = keepAlive?.times {
      (handed.lastReceived, handed.pingedAt) = (lastReceived, pingedAt)
    }
    return handed
  }

  /// Goes on where the upstream's side was in another process.
  func resume(_ handed: UpstreamState) {
    if let decoder = handed.decoder { self.decoder.resume(decoder) }
    keepAlive?.times = (handed.lastReceived, handed.pingedAt)
  }
}

extension Session {
  /// Goes on with both sides of a proxied session.
  func resume(_ handed: UpstreamState, _ chunks: UnsentChunks) {
    let connection = worker.reactor.adopt(handed.connection, chunks, handler: self)
    connect(to: connection, target: handed.target, rest: [])
    upstream?.resume(handed)
  }
}
