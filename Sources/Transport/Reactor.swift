import CLinux
import DequeModule
import Glibc
import Synchronization

/// One thread, one event queue, and the connections on it.
///
/// Everything here happens on that thread; other threads use a `Mailbox` or the `ReactorThread`. The steps of a turn are: wait,
/// read from connections, receive posted messages, continue connections that have work left, call timers, run the work that was
/// put off to the end, send. Each step ends when its time is over (`TimeLimit`) and continues in the next turn, so that no
/// connection keeps the others waiting.
@safe public final class Reactor {
  /// Counts of what the reactor did, for tests and measurements.
  public struct Counters: Sendable, Equatable {
    public var turns: UInt64 = 0
    public var reads: UInt64 = 0
    /// Number of system calls that sent something.
    public var sends: UInt64 = 0
    /// Connections that could not be accepted, for want of descriptors or memory.
    public var acceptFailures: UInt64 = 0
  }

  /// The most that one read takes from a connection. Bytes.
  static let readSize = 256 * 1024
  /// The size of a connection's first read. It doubles each time the handler finishes all bytes in its turn.
  static let firstReadSize = 32 * 1024
  /// The least that one read takes from a connection whose handler does not finish in its turn.
  static let smallReadSize = 4 * 1024
  /// If a handler writes more than this during one read, the bytes are sent before it returns.
  static let outputLimit = 256 * 1024
  private static let eventsPerTurn = 256
  /// Work at the end of a turn may cause more of it. Work that is left after this many rounds waits for the next turn.
  private static let roundsPerTurn = 16
  /// The clock is read once for this many small pieces of work.
  private static let piecesPerLook = 16

  public private(set) var now: MonotonicTime
  public var counters = Counters()

  private let epoll: Epoll
  private let signal: WakeSignal
  private let events: UnsafeMutableBufferPointer<epoll_event>
  private let readBuffer: UnsafeMutableRawBufferPointer
  /// What the handler that is reading has written so far.
  let output = SharedBytes(capacity: outputLimit)
  /// The connection whose handler is reading; only compared, so that keeping it costs nothing.
  private var reading: ObjectIdentifier?
  /// How many of its bytes that handler leaves for later.
  var left = 0
  /// The time of that handler's turn.
  private var slice = TimeLimit.slice
  /// Whether the last handler took longer than its turn.
  private(set) var hasTakenLong = false
  /// What the connections have left of their reads.
  let unread = UnreadInput()
  /// Whether that may exceed the memory for it.
  var isUnreadOver = false
  /// Called when a handler leaves bytes.
  var unreadKept: () -> Void = {}

  /// The index of the first reported event that is not handled, and the number of reported events.
  private var nextEvent = 0
  private var eventCount = 0
  /// Connections with work left, in the order in which they are served: no event reports this work, or it waits for its turn. Each
  /// makes sure that it is here at most once; if it was closed meanwhile, this is found out when its turn comes.
  private var ready = Deque<Connection>()
  /// Those that have not been read yet. They wait only for each other: new and other connections take turns.
  private var new = Deque<Connection>()
  private var isNewNext = true
  /// Whether a posted message may be waiting.
  private var hasMail = false
  /// What waits in the mailboxes.
  private let mail = WaitingLoad()

  /// The bytes that the kernel has not accepted yet.
  let backlog = Backlog(boundedBy: MemoryAllowance(of: MemoryBudget(total: .max / 2), among: 1))

  private var slots: [Slot] = []
  private var freeSlots: [Int32] = []
  private var acceptors: [Acceptor?] = []
  private var timers: TimerWheel?
  private var hoarding: HoardingWatch?
  /// Makes the handshakes of clients with TLS; nil where the reactor makes them itself.
  private var handshakes: HandshakeThread?
  /// The steps that nobody waits for any more, until they have left the other thread.
  private var abandoned: [ObjectIdentifier: AbandonedHandshake] = [:]
  private var receivers: [any MailboxReceiver] = []
  private var dirty: [Connection] = []
  private var ended: [(connection: Connection, reason: ConnectionEnd)] = []
  private var endOfTurnWork: [any EndOfTurn] = []
  /// Whether it holds still, and what is called once nothing is left to do.
  private var stillness: Stillness?
  /// The time for work at the end of this turn; nil if it is not limited.
  private var lateWork: TimeLimit?

  /// What a step uses until it is made.
  private final class AbandonedHandshake {
    let session: TLSSession
    let descriptor: Descriptor

    init(_ session: TLSSession, _ descriptor: consuming Descriptor) {
      self.session = session
      self.descriptor = descriptor
    }
  }

  private struct Slot {
    var connection: Connection?
    /// Grows each time the slot is given to another connection, so that an old event is not taken for a new one.
    var generation: UInt32 = 0
  }

  private init(signal: WakeSignal) throws(TransportFailure) {
    self.signal = signal
    epoll = try Epoll()
    unsafe events = .allocate(capacity: Self.eventsPerTurn)
    unsafe readBuffer = .allocate(byteCount: Self.readSize, alignment: 64)
    now = .now
    try epoll.add(signal.rawDescriptor, for: Epoll.input, token: Token.wakeUp)
    // Unowned: the wheel is the reactor's own.
    timers = TimerWheel { [unowned self] in now }
    // Unowned: the watch is the reactor's own.
    hoarding = HoardingWatch(self) { [unowned self] in
      backlog.relieve()
      return !backlog.waiting.isEmpty
    }
  }

  deinit {
    unsafe events.deallocate()
    unsafe readBuffer.deallocate()
  }

  /// Starts a thread with a reactor, runs `setUp` on it, and returns its result. The reactor then runs until it is stopped.
  public static func start<Result: Sendable>(
    name: String, _ setUp: @escaping @Sendable (Reactor) throws -> Result
  ) throws -> (thread: ReactorThread, result: Result) {
    let signal = try WakeSignal()
    let announced = try WakeSignal()
    let outcome = Mutex<Swift.Result<Result, any Error>?>(nil)
    // Weak: a reactor that runs needs no third descriptor.
    let thread = try ReactorThread(name: name, signal: signal) { [weak announced] in
      do {
        let reactor = try Reactor(signal: signal)
        // Also when `setUp` failed half-way.
        defer { reactor.end() }
        let result = try setUp(reactor)
        outcome.withLock { $0 = .success(result) }
        announced?.raise()
        reactor.run()
      } catch {
        outcome.withLock { $0 = .failure(error) }
        announced?.raise()
      }
    }
    // The thread has it weakly, so this is what keeps it until then.
    withExtendedLifetime(announced) { _ = announced.wait() }
    guard let outcome = outcome.withLock(\.self) else { preconditionFailure("the thread announced nothing") }
    do {
      return (thread, try outcome.get())
    } catch {
      thread.join()
      throw error
    }
  }
}

// MARK: - What handlers use

extension Reactor {
  /// Takes over a connected, non-blocking socket.
  ///
  /// - Parameters:
  ///   - context: begins TLS on it, as its server.
  ///   - first: bytes of the TLS that were read already; at most 32 KiB.
  public func adopt(
    _ descriptor: consuming Descriptor, handler: any ConnectionHandler, tls context: TLSContext? = nil,
    first: [UInt8] = []
  ) -> Connection {
    let raw = descriptor.take()
    let tls = context.flatMap { TLSSession($0, on: raw, first: first, countedBy: unread.allowance) }
    let connection = place(raw, handler, tls)
    // Nothing that has come can be read, so it is not a break.
    if context != nil, tls == nil { connection.close(.local) }
    if !first.isEmpty { connection.readHeld() }
    return connection
  }

  /// Takes over a non-blocking socket that connects to a server, and begins TLS on it. Nothing may be written before the handler
  /// is told that the handshake is over (`established`).
  ///
  /// - Parameter server: the name that its certificate has to be for, or its address.
  public func adopt(
    _ descriptor: consuming Descriptor, handler: any ConnectionHandler, tls context: TLSContext,
    connectingTo server: String
  ) -> Connection {
    let raw = descriptor.take()
    let tls = TLSSession(context, on: raw, connectingTo: server, countedBy: unread.allowance)
    let connection = place(raw, handler, tls)
    connection.beginTLS()
    return connection
  }

  /// Connects to a server. If the connection is not established at once (`Connection.isEstablished`), the handler is told when it is,
  /// and nothing may be written before; a failure ends it.
  public func connect(
    to server: ServerAddress, handler: any ConnectionHandler
  ) throws(TransportFailure) -> Connection {
    var isConnected = false
    let descriptor = try server.dial(isConnected: &isConnected)
    return place(descriptor.take(), handler, nil, isConnecting: !isConnected)
  }

  /// The same with TLS.
  ///
  /// - Parameter name: as for `adopt`.
  public func connect(
    to server: ServerAddress, handler: any ConnectionHandler, tls context: TLSContext, name: String
  ) throws(TransportFailure) -> Connection {
    adopt(try server.dial(), handler: handler, tls: context, connectingTo: name)
  }

  /// Has the handshakes of clients with TLS made by a thread of their own from now on; to be called once.
  public func startHandshakeThread(name: String) throws(TransportFailure) {
    // Unowned: the mailbox is the reactor's own.
    let mailbox = mailbox { [unowned self] in finish($0) }
    handshakes = try HandshakeThread(name: name) { mailbox.post($0) }
  }

  /// Whether a thread makes the handshakes of clients with TLS.
  public var hasHandshakeThread: Bool { handshakes != nil }

  /// Has another thread make the step.
  ///
  /// - Returns: false where there is none.
  func makeElsewhere(_ step: () -> HandshakeStep) -> Bool {
    guard let handshakes else { return false }
    handshakes.make(step())
    return true
  }

  /// The step of a connection that is closed.
  func abandon(_ step: HandshakeStep, of session: TLSSession, on descriptor: consuming Descriptor) {
    step.abandon()
    abandoned[ObjectIdentifier(step)] = AbandonedHandshake(session, descriptor)
  }

  private func finish(_ step: HandshakeStep) {
    if let gone = abandoned.removeValue(forKey: ObjectIdentifier(step)) {
      return gone.session.endStep(at: now)
    }
    slots[Token.slot(step.token)].connection?.finish(step)
    if isUnreadOver { relieveUnread() }
  }

  private func place(
    _ raw: Int32, _ handler: any ConnectionHandler, _ tls: TLSSession?, isConnecting: Bool = false
  ) -> Connection {
    let slot: Int32
    if let free = freeSlots.popLast() {
      slot = free
    } else {
      slot = Int32(slots.count)
      slots.append(Slot())
    }
    let connection = Connection(
      raw, slot: slot, handler: handler, reactor: self, tls: tls, isConnecting: isConnecting)
    slots[Int(slot)].connection = connection
    do throws(TransportFailure) {
      try epoll.add(raw, for: isConnecting ? Epoll.output : Epoll.input, token: token(of: connection))
    } catch {
      connection.close(.failed(ENOMEM))
    }
    return connection
  }

  /// Accepts connections until `stopListening`. `accepted` gets each connection, non-blocking and without Nagle's delay.
  ///
  /// - Parameter short: called when the system has no descriptor or memory left, with `errno` and the connection that was
  ///   accepted with a spare descriptor; nil if no spare descriptor is left and one is needed.
  /// - Returns: what `stopListening(at:)` takes.
  @discardableResult
  public func listen(
    on listener: consuming Listener, accepted: @escaping (consuming Descriptor) -> Void,
    short: @escaping (Int32, consuming Descriptor?) -> Void = { _, _ in }
  ) -> Int {
    let acceptor = Acceptor(listener: listener.take(), accepted: accepted, short: short)
    // An event for the socket that had the place before only makes this one look for connections.
    let index = acceptors.firstIndex { $0 == nil } ?? acceptors.count
    if index == acceptors.count { acceptors.append(acceptor) } else { acceptors[index] = acceptor }
    let token = Token.acceptor(index)
    // Unowned: the reactor keeps the acceptor, which keeps the timer.
    acceptor.retry = timer { [unowned self, unowned acceptor] in watch(acceptor, token) }
    watch(acceptor, token)
    return index
  }

  private func watch(_ acceptor: Acceptor, _ token: UInt64) {
    guard !acceptor.isHeld else { return }
    do throws(TransportFailure) {
      try epoll.add(acceptor.listener, for: Epoll.input | Epoll.exclusive, token: token)
    } catch {
      // The system has too little memory or too few watches, which may pass.
      acceptor.retry?.schedule(after: Acceptor.pause)
    }
  }

  /// Accepts the connections that wait in the queues of the listening sockets: their clients take them for open, and would be reset
  /// by `stopListening`.
  ///
  /// - Parameter most: for each socket. More can come at any time.
  public func acceptWaiting(atMost most: Int) {
    for case let acceptor? in acceptors { acceptor.acceptAll(on: self, atMost: most) }
  }

  /// Accepts what waits in the queue of one listening socket, and closes it. A connection that comes in between goes to another listener
  /// of the address, or is reset.
  ///
  /// - Parameter index: what `listen` has returned.
  public func stopListening(at index: Int) {
    guard let acceptor = acceptors[index] else { return }
    acceptor.acceptAll(on: self, atMost: Listener.backlog)
    stopWatching(acceptor.listener)
    acceptor.close()
    acceptors[index] = nil
  }

  /// Accepts nothing until `resumeListening`: who connects waits in the queue of the socket.
  public func pauseListening() {
    for index in acceptors.indices { pauseListening(at: index) }
  }

  /// The same for one listener.
  public func pauseListening(at index: Int) {
    guard let acceptor = acceptors[index], !acceptor.isHeld else { return }
    acceptor.isHeld = true
    stopWatching(acceptor.listener)
    acceptor.retry?.cancel()
  }

  /// Accepts again, wherever that was paused.
  public func resumeListening() {
    for case (let index, let acceptor?) in acceptors.enumerated() where acceptor.isHeld {
      acceptor.isHeld = false
      watch(acceptor, Token.acceptor(index))
    }
  }

  /// The descriptors of the listening sockets.
  public var listeners: [Int32] { acceptors.compactMap { $0?.listener } }

  /// Closes the listening sockets. Connections that are not accepted yet go to other listeners, or are reset.
  public func stopListening() {
    for case let acceptor? in acceptors {
      stopWatching(acceptor.listener)
      acceptor.close()
    }
    acceptors = acceptors.map { _ in nil }
  }

  /// Makes a mailbox, to which other threads post messages.
  public func mailbox<Message: Sendable>(_ receive: @escaping (Message) -> Void) -> Mailbox<Message> {
    let mailbox = Mailbox<Message>(signal: signal, load: mail)
    receivers.append(mailbox.receiver(receive))
    return mailbox
  }

  /// Mailboxes that are closed together.
  public struct Mailboxes {
    fileprivate var receivers: [any MailboxReceiver]
  }

  /// - Returns: the mailboxes that the body has made, so that they can be closed before the reactor ends.
  public func mailboxes<Result>(madeBy body: () -> Result) -> (result: Result, Mailboxes) {
    let before = receivers.count
    let result = body()
    return (result, Mailboxes(receivers: Array(receivers[before...])))
  }

  /// Receives nothing more from them, and lets go of those who would. What was posted and not received is dropped.
  public func close(_ mailboxes: Mailboxes) {
    for receiver in mailboxes.receivers { receiver.close() }
    receivers.removeAll { receiver in mailboxes.receivers.contains { $0 === receiver } }
  }

  /// How many mailboxes each turn looks into.
  var mailboxCount: Int { receivers.count }

  /// Bounds the messages that wait in the mailboxes of this reactor.
  ///
  /// - Parameter bytes: above this, producers hold back. A single message is accepted however large it is.
  public func boundMail(to bytes: Int) {
    mail.bound(to: bytes)
  }

  public func timer(_ fire: @escaping () -> Void) -> Timer {
    guard let timers else { preconditionFailure("a reactor has its timers until it ends") }
    return Timer(wheel: timers, fire)
  }

  /// Runs the work at the end of this turn, after all events are handled, in the order of the calls.
  public func atEndOfTurn(_ work: any EndOfTurn) {
    endOfTurnWork.append(work)
  }

  /// Bounds what waits to be sent on this reactor; before its first connection.
  public func boundSending(by allowance: MemoryAllowance) {
    precondition(backlog.allowance.used == 0, "something is counted already")
    backlog.allowance = allowance
  }

  /// Bytes that wait to be sent. Bytes for many connections count once, and each waiting connection adds what the kernel may
  /// hold for it.
  public var waitingBytes: Int { backlog.allowance.used }

  /// If the process has no memory for waiting bytes, closes the connections whose bytes have waited longest. This calls their
  /// handlers, so it must not be called during a delivery.
  public func relieve() {
    if backlog.allowance.isOver { backlog.relieve() }
  }

  /// Whether the time for work at the end of this turn is over. The caller puts the rest off to the end of the next turn. The
  /// time begins with the first call.
  public func isEndOfTurnOver() -> Bool {
    lateWork?.isOver() == true
  }

  public var connectionCount: Int { slots.count - freeSlots.count }

  /// In no order.
  var connections: [Connection] { slots.compactMap(\.connection) }

  /// Whether the handler that is being called has time left. The time begins with the first call. A handler calls this now and
  /// then, after at least some work; when the time is over it leaves the rest with `Connection.leave`, or asks for another turn
  /// with `Connection.askForTurn`.
  public func hasTimeLeft() -> Bool {
    !slice.isOver()
  }
}

// MARK: - The turn

extension Reactor {
  private func run() {
    while !signal.isStopRequested {
      guard stillness == nil else {
        turnWhileStill()
        continue
      }
      if nextEvent == eventCount { waitForEvents(milliseconds: waitingTime) }
      turn(at: .now)
    }
  }

  private struct Stillness {
    var quiet: [() -> Void] = []
    var isSilent = false
  }

  /// Ends this turn, and then reads nothing, continues nothing and calls no timer until `stir`. What others post is received, and what
  /// that leads to is sent: nothing is on the way from one reactor to another once all of them hold still and are quiet.
  public func holdStill() {
    if stillness == nil { stillness = Stillness() }
  }

  /// Calls the body once nothing is left to do: no message is posted, and all that was written was offered to the kernel. Only for a
  /// reactor that holds still.
  public func whenQuiet(_ body: @escaping () -> Void) {
    stillness?.quiet.append(body)
  }

  /// Sends nothing either from here on, until `stir`: whatever comes now was not seen by those who have looked. Only for a reactor that
  /// holds still.
  public func fallSilent() {
    stillness?.isSilent = true
  }

  /// Goes on as if nothing had been.
  public func stir() {
    stillness = nil
  }

  private func turnWhileStill() {
    // What was posted before one of them is received in this pass: it may have come to a mailbox that was looked at before.
    let quiet = stillness?.quiet ?? []
    let isSilent = stillness?.isSilent == true
    if !hasMail, !hasWorkAtEnd || isSilent, quiet.isEmpty { signal.wait() }
    now = .now
    signal.lower()
    hasMail = false
    for receiver in receivers where receiver.receiveSome() { hasMail = true }
    if hasWorkAtEnd, !isSilent { finishTurn(within: nil) }
    guard !hasMail, !hasWorkAtEnd || isSilent, stillness != nil, !quiet.isEmpty else { return }
    stillness?.quiet.removeFirst(quiet.count)
    for body in quiet { body() }
  }

  @inline(__always)
  private func waitForEvents(milliseconds: Int32) {
    nextEvent = 0
    eventCount = unsafe epoll.wait(events, milliseconds: milliseconds)
  }

  @inline(__always)
  private func turn(at time: MonotonicTime) {
    now = time
    counters.turns += 1
    handleEvents()
    if hasMail { receiveMail() }
    if hasReady { serveReady() }
    timers?.advance(to: now, within: .timers)
    if hasWorkAtEnd { finishTurn(within: .endOfTurn) }
  }

  /// Runs the body with a reactor that has no thread: the caller makes its turns. For tests.
  static func withoutThread<Result>(
    _ body: (Reactor) async throws -> Result
  ) async throws -> Result {
    let reactor = try Reactor(signal: WakeSignal())
    defer { reactor.end() }
    return try await body(reactor)
  }

  /// Makes one turn at the given time, without waiting for events. For a reactor without a thread.
  ///
  /// - Returns: false if there was nothing to do, and nothing is left to do but what timers wait for.
  func turnOnce(at time: MonotonicTime) -> Bool {
    if nextEvent == eventCount { waitForEvents(milliseconds: 0) }
    let hadEvents = eventCount > 0
    turn(at: time)
    return hadEvents || hasMail || hasReady || hasWorkAtEnd
  }

  private var hasReady: Bool { !ready.isEmpty || !new.isEmpty }

  private var hasWorkAtEnd: Bool { !endOfTurnWork.isEmpty || !dirty.isEmpty || !ended.isEmpty }

  /// How long to wait for events: 0 while work is left, -1 without a limit.
  private var waitingTime: Int32 {
    guard !hasWorkAtEnd, !hasReady, !hasMail else { return 0 }
    guard let next = timers?.nextWakeUp else { return -1 }
    let current = MonotonicTime.now
    guard next > current else { return 0 }
    return Int32(clamping: (next.nanoseconds - current.nanoseconds) / 1_000_000 + 1)
  }

  private func handleEvents() {
    var limit = TimeLimit.events
    slice.reset()
    while nextEvent < eventCount {
      let event = unsafe events[nextEvent]
      nextEvent += 1
      unsafe handle(event)
      relieve()
      if isUnreadOver { relieveUnread() }
      if nextEvent % Self.piecesPerLook == 0 || slice.hasBegun, limit.isOver() { return }
    }
  }

  /// While connections wait, gives back what exceeds the fair share if another reactor needs it.
  func watchHoarding() {
    hoarding?.begin()
  }

  private func relieveUnread() {
    isUnreadOver = false
    unread.relieve()
  }

  private func handle(_ event: epoll_event) {
    let token = unsafe event.data.u64
    if token == Token.wakeUp {
      signal.lower()
      hasMail = true
    } else if let index = Token.acceptorIndex(token) {
      acceptors[index]?.acceptAll(on: self)
    } else {
      let slot = Token.slot(token)
      guard slots[slot].generation == UInt32(token >> 32) else { return }
      slots[slot].connection?.handle(unsafe event.events)
    }
  }

  private func receiveMail() {
    hasMail = false
    for receiver in receivers where receiver.receiveSome() { hasMail = true }
  }

  /// Continues the connections that have work left: each once, in their order, as far as the time allows. A new connection waits
  /// for one of the others, not for all of them.
  private func serveReady() {
    var limit = TimeLimit.ready
    _ = limit.isOver()
    for _ in 0..<(ready.count + new.count) {
      let isNew = new.isEmpty ? false : isNewNext || ready.isEmpty
      isNewNext = !isNew
      guard let connection = isNew ? new.popFirst() : ready.popFirst() else { return }
      slice.reset()
      connection.goOn()
      relieve()
      if isUnreadOver { relieveUnread() }
      if limit.isOver() { return }
    }
  }

  /// - Parameter time: nil without a limit.
  private func finishTurn(within time: TimeLimit?) {
    var limit = time
    lateWork = time
    for _ in 0..<Self.roundsPerTurn {
      guard hasWorkAtEnd else { return }
      let work = endOfTurnWork
      endOfTurnWork.removeAll(keepingCapacity: true)
      for item in work { item.endOfTurn() }
      let isSent = sendQueued(&limit)
      relieve()
      // A limit of its own: closed connections must not wait until the others were sent to.
      var farewells = time
      let isTold = tellEnded(&farewells)
      guard isSent, isTold, endOfTurnWork.isEmpty || !isEndOfTurnOver() else { return }
    }
  }

  /// - Returns: whether all written bytes could be sent in time.
  private func sendQueued(_ limit: inout TimeLimit?) -> Bool {
    let written = dirty
    dirty.removeAll(keepingCapacity: true)
    for (index, connection) in written.enumerated() {
      connection.sendQueued()
      guard index % Self.piecesPerLook == Self.piecesPerLook - 1, limit?.isOver() == true else { continue }
      dirty = Array(written[(index + 1)...]) + dirty
      return false
    }
    return true
  }

  /// - Returns: whether all closed connections could be handled in time.
  private func tellEnded(_ limit: inout TimeLimit?) -> Bool {
    let gone = ended
    ended.removeAll(keepingCapacity: true)
    for (index, (connection, reason)) in gone.enumerated() {
      let handler = connection.handler
      connection.handler = nil
      handler?.closed(reason)
      guard index % Self.piecesPerLook == Self.piecesPerLook - 1, limit?.isOver() == true else { continue }
      ended = Array(gone[(index + 1)...]) + ended
      return false
    }
    return true
  }

  /// Closes all connections, calls their handlers, and releases them.
  private func end() {
    stopListening()
    for slot in slots { slot.connection?.close(.local) }
    finishTurn(within: nil)
    ready.removeAll()
    new.removeAll()
    handshakes?.stop()
    for gone in abandoned.values { gone.session.endStep(at: now) }
    abandoned = [:]
    for receiver in receivers { receiver.close() }
    receivers = []
    endOfTurnWork = []
    acceptors = []
    timers?.removeAll()
  }
}

// MARK: - What connections use

extension Reactor {
  func isReading(_ connection: Connection) -> Bool {
    reading == ObjectIdentifier(connection)
  }

  /// - Returns: the number of bytes in the read buffer, 0 at the peer's end, or -1 with `errno` set.
  func read(from descriptor: Int32, atMost size: Int) -> Int {
    counters.reads += 1
    return unsafe socket_receive(descriptor, readBuffer.baseAddress, size, 0)
  }

  /// The same, decrypted.
  func read(through tls: TLSSession, atMost size: Int, isWaiting: Bool) -> Int {
    counters.reads += 1
    let count = unsafe tls.read(into: readBuffer, atMost: size, at: now, isWaiting: isWaiting)
    noteKept(by: tls)
    return count
  }

  /// What TLS keeps for a later read has a bound over all connections.
  func noteKept(by tls: TLSSession) {
    if tls.held > 0 { noteKept() }
  }

  /// Gives the handler the bytes of a read, and gathers what the handler writes.
  ///
  /// - Returns: the bytes that the handler left; nil if there are none.
  func pass(_ count: Int, to handler: any ConnectionHandler, of connection: Connection) -> UnreadBytes? {
    let left = unsafe pass(
      UnsafeMutableRawBufferPointer(rebasing: readBuffer[..<count]), to: handler, of: connection)
    guard left > 0 else { return nil }
    return unsafe UnreadBytes(
      UnsafeRawBufferPointer(rebasing: readBuffer[(count - left)..<count]), of: connection)
  }

  /// - Returns: how many of the bytes the handler left.
  @inline(__always)
  func pass(
    _ buffer: UnsafeMutableRawBufferPointer, to handler: any ConnectionHandler, of connection: Connection
  ) -> Int {
    reading = ObjectIdentifier(connection)
    left = 0
    slice.reset()
    var bytes = unsafe MutableRawSpan(_unsafeBytes: buffer)
    handler.received(&bytes)
    reading = nil
    hasTakenLong = slice.hasBegun && slice.isOver()
    return left
  }

  func markReady(_ connection: Connection, isNew: Bool) {
    if isNew { new.append(connection) } else { ready.append(connection) }
  }

  func markDirty(_ connection: Connection) {
    dirty.append(connection)
  }

  func watch(_ connection: Connection, for events: UInt32) {
    epoll.change(connection.rawDescriptor, to: events, token: token(of: connection))
  }

  /// The connection's descriptor is about to be closed.
  func closed(_ connection: Connection, _ reason: ConnectionEnd) {
    forget(connection)
    ended.append((connection, reason))
  }

  /// The connection's descriptor is about to be closed, or to be handed over.
  func forget(_ connection: Connection) {
    // Closing alone is not enough: events keep coming while a duplicate of the descriptor is open.
    epoll.remove(connection.rawDescriptor)
    let slot = Int(connection.slot)
    slots[slot].connection = nil
    slots[slot].generation = (slots[slot].generation + 1) & Token.lastGeneration
    freeSlots.append(connection.slot)
  }

  /// Does not report events of a descriptor any more, until it is added again.
  func stopWatching(_ descriptor: Int32) {
    epoll.remove(descriptor)
  }

  func token(of connection: Connection) -> UInt64 {
    UInt64(slots[Int(connection.slot)].generation) << 32 | UInt64(connection.slot)
  }
}

/// The data that epoll returns with an event: a connection's slot and generation, or one of the reactor's own descriptors.
private enum Token {
  static let wakeUp = UInt64.max
  static let lastGeneration: UInt32 = 0x7FFF_FFFF
  private static let acceptorMark: UInt64 = 1 << 63

  static func slot(_ token: UInt64) -> Int { Int(token & 0xFFFF_FFFF) }

  static func acceptor(_ index: Int) -> UInt64 { acceptorMark | UInt64(index) }

  static func acceptorIndex(_ token: UInt64) -> Int? {
    token & acceptorMark == 0 ? nil : Int(token & ~acceptorMark)
  }
}
