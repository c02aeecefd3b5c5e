public import Bytes
import Glibc

/// What a connection needs to go on in another process that gets its descriptor.
public struct ConnectionState: Sendable, Recorded, Equatable {
  /// The number that it has in both processes.
  public var descriptor: Int32 = -1
  /// What was read and is still to be handled.
  public var unread: [UInt8] = []
  var unsent: [Part] = []
  /// Of the unsent bytes, how many are not late (`SendQueue.exempt`).
  var exempt = 0
  /// Whether the peer has got the beginning of the first unsent piece.
  var hasBegun = false
  public var isReadingPaused = false
  var isSendingFinished = false
  /// When it is closed; nil unless only its end is waited for. Nanoseconds of the monotonic clock.
  public var closesAt: UInt64?

  /// A range of a block of unsent bytes (`UnsentChunks`).
  struct Part: Sendable, Recorded, Equatable {
    var block = 0
    var start = 0
    var end = 0

    init(block: Int, start: Int, end: Int) {
      (self.block, self.start, self.end) = (block, start, end)
    }

    init(from record: inout RecordReader) throws(RecordedFault) {
      while let field = try record.next() {
        switch field.number {
        case 1: block = try field.integer()
        case 2: start = try field.integer()
        case 3: end = try field.integer()
        default: break
        }
      }
      guard start <= end else { throw RecordedFault("unsent bytes end before they begin") }
    }

    func write(to record: inout RecordWriter) {
      record.add(1, block)
      record.add(2, start)
      record.add(3, end)
    }
  }

  public init(descriptor: Int32) {
    self.descriptor = descriptor
  }

  public init(from record: inout RecordReader) throws(RecordedFault) {
    while let field = try record.next() {
      switch field.number {
      case 1: descriptor = try field.integer()
      case 2: unread = try field.bytes()
      case 3: unsent.append(try field.record())
      case 4: exempt = try field.integer()
      case 5: hasBegun = try field.flag()
      case 6: isReadingPaused = try field.flag()
      case 7: isSendingFinished = try field.flag()
      case 8: closesAt = try field.time()
      default: break
      }
    }
    guard descriptor > STDERR_FILENO else { throw RecordedFault("a connection has no descriptor") }
  }

  public func write(to record: inout RecordWriter) {
    record.add(1, Int(descriptor))
    record.add(2, unread)
    for part in unsent { record.add(3, part) }
    record.add(4, exempt)
    record.add(5, hasBegun)
    record.add(6, isReadingPaused)
    record.add(7, isSendingFinished)
    if let closesAt { record.addAlways(8, closesAt) }
  }

  /// Whether the unsent bytes are among those that came with it.
  public func fits(_ chunks: UnsentChunks) -> Bool {
    unsent.allSatisfy { part in chunks.size(of: part.block).map { part.end <= $0 } ?? false }
  }
}

extension Connection {
  /// What another process needs to go on with it. Nothing is changed by that: the connection goes on here as well, if it comes to that.
  ///
  /// Only between two turns, when everything that was written was offered to the kernel.
  ///
  /// - Parameter chunks: gets the unsent bytes.
  /// - Returns: nil where it cannot be handed over: for good (`isBound`), or since a server is not reached yet.
  public func state(_ chunks: UnsentChunks) -> ConnectionState? {
    guard !isBound, !isConnecting, phase != .closed else { return nil }
    var state = ConnectionState(descriptor: rawDescriptor)
    state.isReadingPaused = isReadingPaused
    state.isSendingFinished = isSendingFinished
    if let unread { state.unread = unsafe Array(unread.bytes) }
    if phase == .finishing || phase == .finished { state.closesAt = lingering?.due?.nanoseconds ?? 0 }
    guard phase != .finished, let queue else { return state }
    state.hasBegun = queue.hasBegun
    state.exempt = queue.exempt
    for entry in queue.entries[queue.first...] {
      guard let chunk = entry.chunk else { continue }
      state.unsent.append(.init(block: chunks.number(of: chunk), start: entry.start, end: entry.end))
    }
    return state
  }
}

extension Reactor {
  /// Goes on with a connection of another process.
  ///
  /// - Parameters:
  ///   - state: fits the chunks.
  ///   - chunks: those that came with it.
  public func adopt(
    _ state: ConnectionState, _ chunks: UnsentChunks, handler: any ConnectionHandler
  ) -> Connection {
    Descriptor.setInherited(state.descriptor, false)
    let connection = adopt(Descriptor(adopting: state.descriptor), handler: handler)
    connection.restore(state, chunks)
    return connection
  }
}

extension Connection {
  fileprivate func restore(_ state: ConnectionState, _ chunks: UnsentChunks) {
    guard phase == .open else { return }
    isNew = false
    restoreUnsent(state, chunks)
    if state.isReadingPaused { pauseReading() }
    if state.isSendingFinished { finishSending() }
    if let end = state.closesAt {
      return finish(timeout: MonotonicTime(nanoseconds: end).since(reactor.now))
    }
    if !state.unread.isEmpty { putBack(state.unread) }
  }

  private func restoreUnsent(_ state: ConnectionState, _ chunks: UnsentChunks) {
    guard !state.unsent.isEmpty else { return }
    let queue = SendQueue(reactor.backlog)
    for part in state.unsent where part.start < part.end {
      queue.append(
        SendQueue.Entry(
          chunk: chunks.chunk(part.block, in: reactor.backlog), start: part.start, end: part.end))
    }
    guard !queue.isEmpty else { return }
    queue.hasBegun = state.hasBegun
    self.queue = queue
    wait()
    queue.exempt = min(state.exempt, queue.byteCount)
  }
}
