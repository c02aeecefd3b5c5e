import CLinux
import Glibc

/// One connected socket on a reactor. Confined to it, and small: while nothing waits it owns no buffer and no timer.
public final class Connection {
  enum Phase {
    case open
    /// `finish` was called: what is queued is still sent, what comes is dropped.
    case finishing
    /// The queue is sent and this half is shut down; the peer's end is waited for.
    case finished
    /// Nothing can be sent any more: what the peer sent before is still read and handled, then it is closed.
    case broken
    case closed
  }

  /// Strong, as an unowned one costs two atomic operations at each use; the reactor lets go of what is closed, and closes
  /// everything at its end.
  public let reactor: Reactor
  public var handler: (any ConnectionHandler)?
  private(set) var rawDescriptor: Int32
  private(set) var slot: Int32
  var phase = Phase.open
  private var peerHasFinished = false
  /// `finishSending` was called: nothing more is written.
  var isSendingFinished = false
  /// Whether what the peer sends is left in the kernel's buffer, so that its silence says nothing.
  public internal(set) var isReadingPaused = false
  private var isWaitingToSend = false
  /// On the reactor's list of connections with writes of this turn.
  private var isDirty = false
  /// On the reactor's list of connections with work left.
  private var isReady = false
  /// How many of the next reads are not done among those of others, but in a turn of the connection's own, since its handler took
  /// long for what it was given, or is not known yet.
  private var ownTurns: UInt8 = 0
  /// Nothing has been read from it yet.
  var isNew = true
  /// Whether its peer is a relay of this process, which ends with that.
  public var isRelayed = false
  /// The handler is to be called when its turn comes.
  private var wantsTurn = false
  /// What is read at once: as much as the handler gets done in a turn. Bytes.
  var readSize = UInt32(Reactor.firstReadSize)
  /// What the handler left of the last read; nothing more is read until it is dealt with.
  private(set) var unread: UnreadBytes?
  /// Why it is broken; `errno`.
  private var failure: Int32 = 0
  /// The bytes that the kernel still had when the connection broke, and that were not read since.
  private var restInKernel = 0
  var queue: SendQueue?
  /// Nil without TLS.
  private(set) var tls: TLSSession?
  /// A client's handshake is not over yet, and its handler is told when it is.
  private var awaitsTLS = false
  /// The connection to a server is not established yet, and the handler is told when it is.
  private(set) var isConnecting: Bool
  /// Where the reactor's backlog keeps it; nil while it does not wait for the kernel.
  var placeInBacklog: Int?
  /// Ends the wait for the peer's end, or for a handler that has paused reading.
  private(set) var lingering: Timer?
  /// The events that epoll was last told to report.
  private var interest: UInt32

  init(
    _ descriptor: Int32, slot: Int32, handler: any ConnectionHandler, reactor: Reactor, tls: TLSSession?,
    isConnecting: Bool = false
  ) {
    self.isConnecting = isConnecting
    interest = isConnecting ? Epoll.output : Epoll.input
    rawDescriptor = descriptor
    self.slot = slot
    self.handler = handler
    self.reactor = reactor
    self.tls = tls
  }

  public var isClosed: Bool { phase == .closed }

  /// Whether some of what was read is left for later: by the handler, or by TLS.
  public var hasUnread: Bool { keepsUnread || heldByTLS != nil }

  /// Whether bytes that were read, or put back, wait for the handler.
  public var keepsUnread: Bool { unread != nil }

  /// Encrypted bytes that were read and wait for a later turn, and since when; nil if there are none.
  var heldByTLS: (bytes: Int, since: UInt64)? {
    guard let tls, tls.held > 0, tls.step == nil, unread == nil, phase == .open else { return nil }
    return (tls.held, tls.heldSince)
  }

  /// Whether anything that was written is still to be given to the kernel. Nothing is where nothing can be sent any more.
  public var hasUnsent: Bool {
    guard phase == .open || phase == .finishing else { return false }
    return queue != nil || reactor.isReading(self) && reactor.output.count > 0
  }

  /// Bytes that wait for the kernel to take them.
  public var queuedBytes: Int { queue?.byteCount ?? 0 }

  /// The same without what is left of the write that an empty queue took: what a reader is late with, however large one message is.
  /// Nothing is late before the kernel was asked for the first time.
  public var lateBytes: Int {
    guard let queue, placeInBacklog != nil else { return 0 }
    return queue.byteCount - queue.exempt
  }

  /// Whether the connection uses TLS.
  public var isSecure: Bool { tls != nil }

  /// Whether it can never go on in another process: the keys of its TLS are here, or the relay that it comes through is.
  public var isBound: Bool { isSecure || isRelayed }

  /// Whether bytes can be exchanged: false before a server is connected to, or TLS's handshake is over. What is written until then is
  /// lost.
  public var isEstablished: Bool { tls?.isEstablished ?? !isConnecting }

  /// Whether the peer has sent nothing since the last read, not even its end. Asks the system.
  public var isQuiet: Bool {
    guard phase == .open, !peerHasFinished, !hasUnread else { return false }
    return socket_is_quiet(rawDescriptor)
  }

  /// Whether a peer with TLS has sent anything: a health check may only connect. True without TLS.
  public var isHeard: Bool { tls?.isHeard ?? true }

  /// What was wrong with the peer's TLS; nil if nothing was.
  public var tlsFault: TLSFault? { tls?.fault }
}

// MARK: - Writing

extension Connection {
  /// Sends bytes. During `received` everything is gathered and leaves in one system call when the handler returns;
  /// otherwise it leaves at the end of the turn. Does nothing once the connection is finishing.
  public func write(_ bytes: RawSpan) {
    guard phase == .open else { return }
    if queue == nil, reactor.isReading(self) {
      reactor.output.append(bytes)
      if reactor.output.count >= Reactor.outputLimit { sendGathered() }
      return
    }
    unsafe bytes.withUnsafeBytes { unsafe makeQueue().append($0) }
    markDirty()
  }

  /// Sends a few bytes and then others, as one: a frame's header and its payload.
  ///
  /// - Parameter head: the first byte lowest; `length` of them, at most 16.
  public func write(head: UInt128, length: Int, _ bytes: RawSpan) {
    guard phase == .open else { return }
    if queue == nil, reactor.isReading(self) {
      reactor.output.append(head: head, length: length, bytes)
      if reactor.output.count >= Reactor.outputLimit { sendGathered() }
      return
    }
    let queue = makeQueue()
    unsafe withUnsafeBytes(of: head.littleEndian) { head in
      unsafe bytes.withUnsafeBytes {
        unsafe queue.append(UnsafeRawBufferPointer(rebasing: head[..<length]), $0)
      }
    }
    markDirty()
  }

  /// Sends shared bytes, at once where nothing is before them; what the kernel does not take is queued
  /// in chunks that are shared with all who are sent the same.
  public func write(_ shared: SharedBytes, from offset: Int) {
    guard phase == .open, offset < shared.count else { return }
    if reactor.isReading(self) { sendGathered() }
    if let queue { return queue.append(shared, from: offset) }
    let sent = unsafe shared.withBytes(from: offset) { unsafe send($0) }
    guard phase == .open, offset + sent < shared.count else { return }
    makeQueue().append(shared, from: offset + sent)
    wait()
  }

  /// Sends what the handler wrote while it was reading.
  func sendGathered() {
    let gathered = reactor.output
    guard gathered.count > 0 else { return }
    defer { gathered.clear() }
    guard phase == .open || phase == .finishing else { return }
    unsafe gathered.withBytes(from: 0) { bytes in
      let sent = unsafe queue == nil ? send(bytes) : 0
      guard sent < bytes.count, phase == .open || phase == .finishing else { return }
      let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[sent...])
      if sent > 0 { unsafe makeQueue().append(restOfPiece: rest) } else { unsafe makeQueue().append(rest) }
      wait()
    }
  }

  /// Sends what is queued, as far as the kernel takes it.
  func sendQueued() {
    isDirty = false
    guard phase == .open || phase == .finishing, tls?.step == nil else { return }
    if let queue {
      let failure =
        if let tls {
          queue.send(through: tls, to: rawDescriptor, sends: &reactor.counters.sends)
        } else {
          queue.send(to: rawDescriptor, sends: &reactor.counters.sends)
        }
      if failure != 0 { return close(.failed(failure)) }
      guard queue.isEmpty else { return wait() }
      dropQueue()
    }
    watch()
    if phase == .finishing { return shutDown() }
    if isSendingFinished { return shutDownSending() }
    handler?.drained()
  }

  private func makeQueue() -> SendQueue {
    if let queue { return queue }
    let made = SendQueue(reactor.backlog)
    queue = made
    return made
  }

  private func dropQueue() {
    queue = nil
    guard placeInBacklog != nil else { return }
    reactor.backlog.remove(self)
    placeInBacklog = nil
  }

  /// What is queued waits for the kernel.
  func wait() {
    if let queue, placeInBacklog == nil {
      queue.exemptAll()
      reactor.backlog.add(self)
      reactor.watchHoarding()
    }
    watch()
  }

  /// The age of what waits longest, by the backlog's position.
  var queuedSince: UInt64 { queue?.since ?? .max }

  /// What a connection that has to go for want of memory may keep, so that it can still be told why. Bytes.
  private static let keptForClosing = 4096
  /// The same for one that fell behind while there is memory. Bytes.
  private static let keptForFinishing = 64 * 1024

  /// Gives up what waits, but for the rest of what the peer has got the beginning of, and lets the kernel take that and a word of
  /// farewell. Where the peer is in the middle of something long, everything goes on waiting.
  public func dropQueued() {
    if phase == .open { _ = trim(toPieceOf: Self.keptForFinishing) }
  }

  /// - Returns: false where too much is left of the piece that has begun.
  private func trim(toPieceOf most: Int) -> Bool {
    guard let queue, queue.trim(toPieceOf: most) else { return false }
    UnsentBound.lift(on: rawDescriptor)
    return true
  }

  /// The process has no memory for what waits here: the queue is given up, but for the rest of what the peer has got the beginning
  /// of, and the handler is told, so that it says why and ends. Who is in the middle of something long is cut off.
  func giveWay() {
    guard phase == .open, trim(toPieceOf: Self.keptForClosing) else {
      if phase == .open { handler?.mustGiveWay() }
      return close(.local)
    }
    handler?.mustGiveWay()
    if phase == .open { close(.local) }
  }

  private func markDirty() {
    guard !isDirty, !isWaitingToSend else { return }
    isDirty = true
    reactor.markDirty(self)
  }

  /// Encrypts and sends bytes, as long as the kernel takes all that is encrypted.
  ///
  /// - Returns: how much was encrypted; the connection is closed where sending failed for good.
  private func send(_ bytes: UnsafeRawBufferPointer, through tls: TLSSession) -> Int {
    guard tls.isEstablished else { return bytes.count }
    var sent = 0
    while sent < bytes.count, queue == nil {
      reactor.counters.sends += 1
      let taken = unsafe tls.write(UnsafeRawBufferPointer(rebasing: bytes[sent...]))
      guard taken >= 0 else {
        close(.failed(errno))
        break
      }
      sent += taken
      keepUnsent(of: tls)
    }
    // Everything is encrypted, but not sent. Of a part, the caller queues the rest behind it.
    if sent == bytes.count, queue != nil { wait() }
    return sent
  }

  /// Queues what the kernel did not take of what was just encrypted.
  ///
  /// - Returns: whether it did not take everything.
  @discardableResult
  private func keepUnsent(of tls: TLSSession) -> Bool {
    var isLeft = false
    unsafe tls.withUnsent {
      isLeft = true
      unsafe makeQueue().seal($0)
    }
    return isLeft
  }

  /// - Returns: how much the kernel took; the connection is closed where sending failed for good.
  private func send(_ bytes: UnsafeRawBufferPointer) -> Int {
    if let tls { return unsafe send(bytes, through: tls) }
    var sent = 0
    while sent < bytes.count {
      reactor.counters.sends += 1
      let result = unsafe socket_send(
        rawDescriptor, bytes.baseAddress.unsafelyUnwrapped + sent, bytes.count - sent,
        Int32(MSG_NOSIGNAL))
      if result >= 0 {
        sent += result
        // The kernel's buffer is full; asking again would only say so.
        if sent < bytes.count { break }
      } else if errno == EAGAIN {
        break
      } else if errno != EINTR {
        close(.failed(errno))
        break
      }
    }
    return sent
  }
}

// MARK: - Reading

extension Connection {
  /// Leaves what the peer sends in the kernel's buffer, so that TCP makes it wait.
  public func pauseReading() {
    guard phase == .open || phase == .broken, !isReadingPaused else { return }
    isReadingPaused = true
    watch()
  }

  public func resumeReading() {
    guard phase == .open || phase == .broken, isReadingPaused else { return }
    isReadingPaused = false
    if phase == .broken {
      lingering?.cancel()
      lingering = nil
    }
    if unread != nil || phase == .broken || holdsInput { markReady() } else { watch() }
  }

  /// Whether TLS has something to read that the system does not report.
  private var holdsInput: Bool { tls?.holdsInput == true }

  /// Called by the handler during `received`: the last bytes of what it was given are for later. It is given them again, with
  /// nothing behind them, when the others have had their turn and reading is not paused; if there is another handler by then,
  /// that one is.
  public func leave(last count: Int) {
    precondition(reactor.isReading(self), "only the handler that is reading leaves something")
    reactor.left = count
  }

  /// Gives the handler bytes that somebody else has read, before anything else and as if they came now.
  public func putBack(_ bytes: [UInt8]) {
    guard phase == .open, !bytes.isEmpty else { return }
    precondition(unread == nil, "what was read before comes first")
    keep(unsafe bytes.withUnsafeBytes { unsafe UnreadBytes($0, of: self) })
    if !isReadingPaused { markReady() }
  }

  /// Calls the handler's `goOn` when the others have had their turn.
  public func askForTurn() {
    guard phase == .open else { return }
    wantsTurn = true
    markReady()
  }

  /// Reads what TLS was given to begin with.
  func readHeld() {
    if phase == .open { markReady() }
  }

  func markReady() {
    guard !isReady else { return }
    isReady = true
    reactor.markReady(self, isNew: isNew)
    watch()
  }

  /// Until it has shown that it is quick, the connection is not read from among those of others, but in turns of its own: what it
  /// sends first may take long, and many may come with such at once.
  public func readInOwnTurn() {
    ownTurns = Self.turnsOfNew
  }

  /// A hand-shake's head, and the first messages.
  private static let turnsOfNew: UInt8 = 4
  /// So many quick reads make up for one that took long: who alternates would be read among the others half of the time.
  private static let turnsOfSlow: UInt8 = 16

  private func noteTime() {
    isNew = false
    if reactor.hasTakenLong {
      ownTurns = Self.turnsOfSlow
    } else if ownTurns > 0 {
      ownTurns -= 1
    }
  }

  /// Hands on what has come already, instead of with the next turn.
  public func readNow() {
    if phase == .open, !isReadingPaused, unread == nil, !peerHasFinished { _ = read() }
  }

  func handle(_ events: UInt32) {
    // A broken connection is not watched any more; this was reported before.
    guard phase != .broken else { return }
    let hasBroken = events & (Epoll.error | Epoll.hangUp) != 0
    if events & Epoll.output != 0 {
      if isConnecting { finishConnecting() } else { sendQueued() }
    }
    guard phase != .closed, events & Epoll.input != 0 || hasBroken else { return }
    if hasBroken, events & Epoll.input == 0 {
      // A break is learned from the read. That comes behind what was read before, but must not wait for a pause to end.
      if !isReady { close(.failed(ECONNRESET)) }
      return
    }
    guard wantsInput, tls?.step == nil else { return }
    // Of one that is on its way down only the end is waited for, which takes nobody long.
    guard ownTurns > 0, phase == .open else {
      if read(), holdsInput { markReady() }
      return
    }
    // The system reports it again until then, which costs less than asking it not to.
    isReady = true
    reactor.markReady(self, isNew: isNew)
  }

  private func finishConnecting() {
    let code = SocketCall.pendingError(of: rawDescriptor)
    guard code == 0 else { return close(.failed(code)) }
    isConnecting = false
    watch()
    handler?.established()
  }

  /// The connection's turn on the list of those with work left.
  func goOn() {
    // It stays marked meanwhile, so that the system is not asked to report what is about to be read.
    var hasMore = false
    if phase == .open, wantsTurn {
      wantsTurn = false
      handler?.goOn()
    }
    if phase == .open || phase == .broken, !isReadingPaused {
      if let unread {
        pass(unread)
        hasMore = true
      } else if !peerHasFinished {
        hasMore = read()
      }
    }
    isReady = false
    switch phase {
    case .open where (hasMore || unread != nil) && !isReadingPaused || wantsTurn: markReady()
    case .broken where tls?.step != nil: break
    case .broken where isReadingPaused: waitForHandler()
    case .broken where hasMore || unread != nil: markReady()
    case .broken: close(.failed(failure))
    case .open, .finishing, .finished, .closed: watch()
    }
  }

  private var wantsInput: Bool {
    switch phase {
    case .open: !isReadingPaused && !isReady && unread == nil && !peerHasFinished
    case .finishing, .finished: !peerHasFinished
    case .broken, .closed: false
    }
  }

  /// - Returns: whether there may be more right now.
  private func read() -> Bool {
    guard let tls else {
      return handle(reactor.read(from: rawDescriptor, atMost: Int(readSize)), of: Int(readSize))
    }
    guard tls.step == nil else { return false }
    if !awaitsTLS, !tls.isEstablished, shakeHandsElsewhere(tls) { return false }
    return handle(readSecure(tls), of: Int(readSize))
  }

  /// - Parameters:
  ///   - count: the outcome of a read; `errno` is set where it is -1.
  ///   - size: how many bytes it could have taken.
  /// - Returns: whether there may be more right now.
  private func handle(_ count: Int, of size: Int) -> Bool {
    if count > 0 {
      guard phase == .open || phase == .broken, let handler else { return false }
      let rest = reactor.pass(count, to: handler, of: self)
      noteTime()
      if let rest {
        keep(rest)
        readSize = UInt32(max(Reactor.smallReadSize, count - rest.size))
      } else if count == readSize {
        readSize = UInt32(min(2 * count, Reactor.readSize))
      }
      sendGathered()
      if unread != nil, !isReadingPaused { markReady() }
      if phase == .finishing, queue == nil { shutDown() }
      guard phase == .broken else { return tls == nil ? count == size : holdsInput }
      return hasMoreAfter(tls?.taken ?? count)
    } else if count == 0 {
      peerHasFinished = true
      switch phase {
      case .open: handler?.peerFinished()
      case .finishing, .broken, .closed: break
      case .finished: close(.finished)
      }
      // Most are closed by now.
      watch()
    } else if errno != EAGAIN, errno != EINTR {
      let code = phase == .broken ? failure : errno
      peerHasFinished = true
      close(.failed(code))
    } else {
      // The bounds of one read may have left some of what was read.
      return phase == .broken ? hasMoreAfter(tls?.taken ?? 0) : holdsInput
    }
    return false
  }

  /// Whether a broken connection has more to read after so many bytes from the kernel; if there were none, there will be none.
  private func hasMoreAfter(_ taken: Int) -> Bool {
    restInKernel -= taken
    return taken > 0 && restInKernel > 0 || holdsInput
  }

  /// Reads and decrypts, and sends what TLS itself answers.
  ///
  /// - Returns: the number of bytes in the reactor's buffer, 0 at the peer's end, or -1 with `errno` set.
  private func readSecure(_ tls: TLSSession) -> Int {
    let isWaiting = queue.map { $0.sealedBytes > 0 } ?? false
    let count = reactor.read(through: tls, atMost: Int(readSize), isWaiting: isWaiting)
    let code = errno
    guard phase == .open || phase == .finishing, keepUnsent(of: tls), let queue else {
      errno = code
      if awaitsTLS { noteEstablished(tls) }
      return count
    }
    wait()
    if awaitsTLS { noteEstablished(tls) }
    errno = queue.sealedBytes <= Self.mostSealed ? code : ENOBUFS
    return queue.sealedBytes <= Self.mostSealed ? count : -1
  }

  /// The next step of a server's handshake is made by another thread. Until then nothing is read here, sent, or expected.
  ///
  /// - Returns: false where there is no such thread.
  private func shakeHandsElsewhere(_ tls: TLSSession) -> Bool {
    guard phase == .open || phase == .broken else { return false }
    let isWaiting = queue != nil
    let isBegun = reactor.makeElsewhere {
      tls.beginStep(token: reactor.token(of: self), isWaiting: isWaiting)
    }
    if isBegun { watch() }
    return isBegun
  }

  /// The other thread has made the step, or found it abandoned.
  func finish(_ step: HandshakeStep) {
    guard let tls, tls.step === step else { return }
    tls.endStep(at: reactor.now)
    reactor.noteKept(by: tls)
    guard let outcome = step.outcome else { return close(.failed(failure)) }
    if phase == .open {
      if !outcome.unsent.isEmpty { unsafe outcome.unsent.withUnsafeBytes { unsafe makeQueue().seal($0) } }
      if queue != nil { wait() }
    } else {
      restInKernel = tls.taken + Int(socket_unread(rawDescriptor))
    }
    errno = outcome.code
    let hasMore = handle(outcome.result, of: Int(readSize))
    switch phase {
    case .open where hasMore && !isReadingPaused, .broken where hasMore: markReady()
    // It broke just now, and what is left is read in its turn.
    case .broken where isReady: break
    case .broken: close(.failed(failure))
    case .open, .finishing, .finished, .closed: watch()
    }
  }

  /// Begins the handshake at the client's side.
  func beginTLS() {
    guard phase == .open else { return }
    guard let tls else { return close(.local) }
    awaitsTLS = true
    guard tls.begin() else { return close(.failed(errno)) }
    if keepUnsent(of: tls) { wait() }
  }

  /// Tells the handler once that a client's handshake is over. Keeps `errno`.
  private func noteEstablished(_ tls: TLSSession) {
    guard awaitsTLS, phase == .open, tls.isEstablished else { return }
    let code = errno
    awaitsTLS = false
    handler?.established()
    errno = code
  }

  /// A peer that makes TLS answer without reading that is cut off at so many bytes.
  private static let mostSealed = 128 * 1024

  /// Hands the handler what it has left.
  private func pass(_ rest: UnreadBytes) {
    guard let handler else { return dropUnread() }
    let left = unsafe reactor.pass(rest.bytes, to: handler, of: self)
    noteTime()
    // It may have closed or finished the connection.
    if unread === rest {
      if left > 0 { rest.keep(last: left) } else { dropUnread() }
    }
    sendGathered()
    if phase == .finishing, queue == nil { shutDown() }
  }

  func keep(_ rest: UnreadBytes) {
    guard phase == .open || phase == .broken else { return }
    dropUnread()
    unread = rest
    reactor.count(rest)
  }

  private func dropUnread() {
    guard let rest = unread else { return }
    unread = nil
    reactor.unread.remove(rest)
  }
}

// MARK: - The end

extension Connection {
  /// Sends what is queued, says that nothing more will come, and closes when the peer has finished too or the time is
  /// over: closing at once could reset the connection, and the last bytes would be lost with it.
  public func finish(timeout: Duration) {
    if phase == .broken { return close(.failed(failure)) }
    guard phase == .open else { return }
    guard isEstablished else { return close(.local) }
    phase = .finishing
    isReadingPaused = false
    dropUnread()
    linger(for: timeout, then: .local)
    if reactor.isReading(self) { return }
    if isDirty || isWaitingToSend { return watch() }
    shutDown()
  }

  /// Says that nothing more will be sent, once what is queued is, and reads on.
  public func finishSending() {
    guard phase == .open, !isSendingFinished else { return }
    isSendingFinished = true
    if queue == nil { shutDownSending() }
  }

  private func shutDownSending() {
    if let tls {
      tls.finish()
      // It is called again once the farewell has left.
      if keepUnsent(of: tls) { return wait() }
    }
    // A failure means that the peer is gone, which reading will tell.
    _ = Glibc.shutdown(rawDescriptor, Int32(SHUT_WR))
  }

  /// Closes now; what is queued is lost.
  public func abort() {
    close(.local)
  }

  /// Gives the descriptor away, to be served by somebody else. The handler hears nothing any more.
  ///
  /// - Returns: nil where something waits to be sent, or the connection is no longer open.
  public func detach() -> Descriptor? {
    guard phase == .open, tls == nil, !hasUnsent else { return nil }
    phase = .closed
    handler = nil
    dropUnread()
    reactor.forget(self)
    return giveUpDescriptor()
  }

  private func shutDown() {
    guard phase == .finishing else { return }
    if let tls {
      tls.finish()
      keepUnsent(of: tls)
      if queue != nil { return wait() }
    }
    phase = .finished
    if Glibc.shutdown(rawDescriptor, Int32(SHUT_WR)) != 0 || peerHasFinished { return close(.finished) }
    watch()
  }

  func close(_ reason: ConnectionEnd) {
    if case .failed(let code) = reason, phase == .open, breakOff(code) { return }
    guard phase != .closed else { return }
    if reason == .local, phase == .open { answerFarewell() }
    phase = .closed
    dropQueue()
    lingering?.cancel()
    lingering = nil
    dropUnread()
    reactor.closed(self, reason)
    if let tls, let step = tls.step {
      reactor.abandon(step, of: tls, on: giveUpDescriptor())
    } else {
      _ = giveUpDescriptor()
    }
  }

  /// A peer with TLS that has ended its half is told that this one ends, too (RFC 8446 section 6.1). It is sent now or never, and not
  /// behind what is cut off: the peer would take that for the whole.
  private func answerFarewell() {
    guard let tls, peerHasFinished, queue == nil, isEstablished else { return }
    tls.finish()
  }

  /// Reads on to the end, although nothing can be sent any more: a client may send messages and leave at once, without reading.
  /// A reset does not discard what the client sent before; it waits in the kernel's buffer. Only what is there now is read: a peer
  /// that is merely taken to be gone could send for ever.
  ///
  /// - Returns: false if nothing is left to read.
  private func breakOff(_ code: Int32) -> Bool {
    if let step = tls?.step {
      // What the client said before, and why it went, is learned from what is left. A hello alone says nothing.
      if !step.isLater { step.abandon() }
      becomeBroken(code)
      return true
    }
    restInKernel = peerHasFinished ? 0 : Int(socket_unread(rawDescriptor))
    guard unread != nil || restInKernel > 0 || holdsInput else { return false }
    becomeBroken(code)
    markReady()
    return true
  }

  private func becomeBroken(_ code: Int32) {
    phase = .broken
    failure = code
    dropQueue()
    // The system would report the break again and again.
    reactor.stopWatching(rawDescriptor)
    interest = 0
  }

  /// The connection is broken, and its handler has paused reading, mostly because the peer did not read. Asks the handler whether
  /// the rest of the input is to be kept until it resumes reading. The time begins anew with each pause.
  private func waitForHandler() {
    guard unread != nil || restInKernel > 0 || holdsInput, handler?.brokeWhilePaused() == .kept else {
      return close(.failed(failure))
    }
    guard phase == .broken, isReadingPaused, lingering == nil else { return }
    linger(for: Self.timeForRest, then: .failed(failure))
  }

  private func linger(for time: Duration, then end: ConnectionEnd) {
    // Unowned: the close cancels it.
    let timer = reactor.timer { [unowned self] in close(end) }
    timer.schedule(after: time)
    lingering = timer
  }

  /// How long the input of a broken connection is kept for a handler that has paused reading.
  private static let timeForRest = Duration.seconds(5)

  /// The number may soon mean another connection, so it is not kept.
  private func giveUpDescriptor() -> Descriptor {
    defer { rawDescriptor = -1 }
    return Descriptor(adopting: rawDescriptor)
  }

  /// Tells the kernel which events are worth a wake-up.
  private func watch() {
    guard phase != .closed, phase != .broken else { return }
    guard tls?.step == nil else { return watch(for: 0) }
    isWaitingToSend = queue != nil && !isDirty
    let input = wantsInput ? Epoll.input : 0
    watch(for: input | (isWaitingToSend ? Epoll.output : 0))
  }

  private func watch(for events: UInt32) {
    guard interest != events else { return }
    interest = events
    reactor.watch(self, for: events)
  }
}
