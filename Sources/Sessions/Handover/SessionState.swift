package import Bytes
import ChannelLayers
package import Transport
import WebSocketCore

/// A session as a record, from which another process goes on with it.
package struct SessionState: Recorded {
  package enum Kind: UInt8, Sendable {
    case webSocket = 1
    case stream = 2
    /// A connection of which only the end is waited for.
    case leaving = 3
  }

  package var kind: Kind
  package var connection: ConnectionState
  /// The name of its route.
  package var route = ""
  /// How its client has come in.
  var wayIn = WayIn.unknown
  /// What its address has of `limits.per_ip`.
  var site: IPAddress?
  var feed = FeedState()
  var log: SessionRecord.State?
  /// Of a WebSocket session.
  var webSocket = WebSocketState()
  /// Of an event stream: when something was written last, and what was passed over of its client's.
  var lastWrite: UInt64 = 0
  var ignored = 0

  /// The numbers of all its places in groups.
  var numbers: [MemberNumber] { feed.numbers + (webSocket.view?.own.map { [$0.number] } ?? []) }

  /// Names the worker that it is of, in a record that does not say so.
  mutating func settle(on worker: Int) {
    feed.settle(on: worker)
    webSocket.view?.own?.settle(on: worker)
  }

  init(_ kind: Kind, _ connection: ConnectionState) {
    (self.kind, self.connection) = (kind, connection)
  }

  package init(from record: inout RecordReader) throws(RecordedFault) {
    (kind, connection) = (.leaving, ConnectionState(descriptor: -1))
    var (path, origin, host, isSecure): ([UInt8], String?, String, Bool) = ([], nil, "", false)
    while let field = try record.next() {
      switch field.number {
      case 1: kind = try field.choice()
      case 2: connection = try field.record()
      case 3: route = try field.text()
      case 4: site = try field.address()
      case 5: feed = try field.record()
      case 6: log = try field.record()
      case 7: webSocket = try field.record()
      case 8: lastWrite = try field.time()
      case 9: ignored = try field.count()
      case 10: path = try field.bytes()
      case 11: origin = try field.text()
      case 12: host = try field.text()
      case 13: isSecure = try field.flag()
      default: break
      }
    }
    wayIn = WayIn(path: path, origin: origin, host: host, isSecure: isSecure)
    guard connection.descriptor >= 0 else { throw RecordedFault("a session has no connection") }
  }

  package func write(to record: inout RecordWriter) {
    record.addAlways(1, UInt64(kind.rawValue))
    record.add(2, connection)
    record.add(3, text: route)
    if let site { record.add(4, site.networkOrder) }
    record.add(5, feed)
    if let log { record.add(6, log) }
    record.add(7, webSocket)
    record.add(8, lastWrite)
    record.add(9, ignored)
    record.add(10, wayIn.path)
    guard let page = wayIn.page?.page else { return }
    record.addAlways(11, text: page.origin)
    record.add(12, text: page.host)
    record.add(13, page.isSecure)
  }
}

/// What only a WebSocket session has.
struct WebSocketState: Recorded {
  var decoder: DecoderState?
  var compression: CompressionState?
  /// Nanoseconds of the monotonic clock.
  var lastReceived: UInt64 = 0
  var pingedAt: UInt64?
  /// A close frame was sent; until then its answer is waited for.
  var closesAt: UInt64?
  /// Of a proxied session.
  var upstream: UpstreamState?
  /// Of one with a view.
  var view: ViewState?

  init() {}

  init(from record: inout RecordReader) throws(RecordedFault) {
    while let field = try record.next() {
      switch field.number {
      case 1: decoder = try field.record()
      case 2: compression = try field.record()
      case 3: lastReceived = try field.time()
      case 4: pingedAt = try field.time()
      case 5: closesAt = try field.time()
      case 6: upstream = try field.record()
      case 7: view = try field.record()
      default: break
      }
    }
  }

  func write(to record: inout RecordWriter) {
    if let decoder { record.add(1, decoder) }
    if let compression { record.add(2, compression) }
    record.add(3, lastReceived)
    if let pingedAt { record.addAlways(4, pingedAt) }
    if let closesAt { record.addAlways(5, closesAt) }
    if let upstream { record.add(6, upstream) }
    if let view { record.add(7, view) }
  }
}

/// What was agreed on about compression, and what the client's messages may refer to.
struct CompressionState: Recorded {
  var serverWindowBits = 15
  var keepsServerContext = false
  var clientWindowBits = 15
  var keepsClientContext = false
  var window: [UInt8] = []

  init(_ compression: SessionCompression) {
    serverWindowBits = compression.deflater.windowBits
    keepsServerContext = compression.deflater.context == .kept
    clientWindowBits = compression.inflater.windowBits
    keepsClientContext = compression.inflater.context == .kept
    window = keepsClientContext ? compression.inflater.lastBytes : []
  }

  init(from record: inout RecordReader) throws(RecordedFault) {
    while let field = try record.next() {
      switch field.number {
      case 1: serverWindowBits = try field.integer(in: 9...15)
      case 2: keepsServerContext = try field.flag()
      case 3: clientWindowBits = try field.integer(in: 8...15)
      case 4: keepsClientContext = try field.flag()
      case 5: window = try field.bytes()
      default: break
      }
    }
  }

  func write(to record: inout RecordWriter) {
    record.add(1, serverWindowBits)
    record.add(2, keepsServerContext)
    record.add(3, clientWindowBits)
    record.add(4, keepsClientContext)
    record.add(5, window)
  }
}
