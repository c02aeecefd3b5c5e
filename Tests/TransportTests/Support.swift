import CLinux
import Glibc
import Synchronization
import TestSupport

@testable import Transport

/// A blocking connection to a port of this machine.
func connect(to port: Int) -> Int32 {
  let descriptor = socket(AF_INET, 1, 0)
  let code = connect(descriptor, to: port)
  precondition(code == 0, "connect: \(code)")
  return descriptor
}

/// - Returns: 0, or why it could not be connected.
@discardableResult
func connect(_ descriptor: Int32, to port: Int) -> Int32 {
  setTimeout(descriptor)
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = UInt16(port).bigEndian
  address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
  let status = unsafe withUnsafePointer(to: &address) {
    unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      unsafe Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
    }
  }
  return status == 0 ? 0 : errno
}

func listenOnAnyPort() throws -> Listener {
  try Listener.tcp(host: "127.0.0.1", port: 0, reusePort: false, backlog: 4096)
}

extension Listener {
  var port: Int {
    guard case .tcp(_, let port) = address else { preconditionFailure("it is not bound to a port") }
    return port
  }
}

/// A connected pair of TCP sockets, as `socketPair`.
func tcpPair() throws -> (reactor: Int32, test: Int32) {
  let listener = try listenOnAnyPort()
  let port = listener.port
  setNonBlocking(listener.rawValue, false)
  let test = connect(to: port)
  let end = accept(listener.rawValue, nil, nil)
  setNonBlocking(end)
  return (end, test)
}

/// Where a test may put a socket file.
func temporaryPath() -> String {
  "/tmp/sluice-test-\(getpid())-\(UInt32.random(in: 0 ... .max)).sock"
}

/// - Returns: what the limit was.
@discardableResult
func limitDescriptors(to count: Int) -> Int {
  var limit = rlimit()
  unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  let before = Int(limit.rlim_cur)
  limit.rlim_cur = rlim_t(count)
  unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  return before
}

/// Leaves no descriptor to the process: the limit is right above those that are open, and no number below it is free.
///
/// - Returns: what the limit was.
func takeAllDescriptors() -> Int {
  // The last that was opened need not have the highest number: others may have been closed meanwhile.
  let highest = (0..<Int32(65536)).last { fcntl($0, F_GETFD) >= 0 } ?? 0
  let limit = limitDescriptors(to: Int(highest) + 1)
  while unsafe open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0 {}
  return limit
}

extension Reactor {
  /// What the handlers of all connections have left.
  var unreadBytes: Int { unread.rests.reduce(0) { $0 + $1.size } }
}

/// Starts a reactor, runs the body with what the set-up returned, and stops the reactor.
func withReactor<Result: Sendable>(
  _ setUp: @escaping @Sendable (Reactor) throws -> Result, _ body: (Result) throws -> Void
) throws {
  let (thread, result) = try Reactor.start(name: "test", setUp)
  defer {
    thread.stop()
    thread.join()
  }
  try body(result)
}

/// Writes back what the connection reads.
func echo(_ descriptor: consuming Descriptor, on reactor: Reactor) {
  let handler = Handler()
  handler.onReceived = { connection, bytes in connection.write(bytes.bytes) }
  handler.connection = reactor.adopt(descriptor, handler: handler)
}

func send(_ bytes: [UInt8], to descriptor: Int32) {
  var sent = 0
  while sent < bytes.count {
    let count = unsafe bytes.withUnsafeBytes {
      unsafe Glibc.send(
        descriptor, $0.baseAddress.unsafelyUnwrapped + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
    }
    guard count > 0 else { return }
    sent += count
  }
}

/// Reads until so many bytes have come, or the peer's end.
func receive(_ count: Int, from descriptor: Int32) -> [UInt8] {
  var bytes: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 65536)
  while bytes.count < count {
    let size = min(chunk.count, count - bytes.count)
    let got = unsafe recv(descriptor, &chunk, size, 0)
    guard got > 0 else { break }
    bytes += chunk[..<got]
  }
  return bytes
}

/// Collects values that a reactor's thread reports, for a test that waits for them.
final class Reports<Value: Sendable>: Sendable {
  private let collected = Mutex<[Value]>([])
  private let semaphore: Semaphore

  init() {
    semaphore = Semaphore()
  }

  func add(_ value: Value) {
    collected.withLock { $0.append(value) }
    semaphore.signal()
  }

  /// What has come so far.
  var values: [Value] { collected.withLock { $0 } }

  /// Waits until so many more have come; returns all, or what there is after twenty seconds.
  func wait(for count: Int) -> [Value] {
    for _ in 0..<count where !semaphore.wait() { break }
    return values
  }
}

/// The system's semaphore, with a time-out. Its address never changes.
@safe final class Semaphore: @unchecked Sendable {
  private let pointer: UnsafeMutablePointer<sem_t>

  init() {
    unsafe pointer = .allocate(capacity: 1)
    unsafe sem_init(pointer, 0, 0)
  }

  deinit {
    unsafe sem_destroy(pointer)
    unsafe pointer.deallocate()
  }

  func signal() {
    unsafe sem_post(pointer)
  }

  func wait() -> Bool {
    var deadline = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &deadline)
    deadline.tv_sec += 20
    while unsafe sem_timedwait(pointer, &deadline) != 0 {
      guard errno == EINTR else { return false }
    }
    return true
  }
}

extension [UInt8] {
  init(copying bytes: RawSpan) {
    self.init()
    unsafe bytes.withUnsafeBytes { unsafe append(contentsOf: $0) }
  }
}

extension Connection {
  func write(_ bytes: [UInt8]) {
    unsafe write(bytes.span.bytes)
  }
}

extension SharedBytes {
  func append(_ bytes: [UInt8]) {
    unsafe append(bytes.span.bytes)
  }
}

/// A handler made of closures.
final class Handler: ConnectionHandler {
  var connection: Connection?
  var onReceived: (Connection, inout MutableRawSpan) -> Void = { _, _ in }
  var onFinished: (Connection) -> Void = { $0.abort() }
  var onDrained: (Connection) -> Void = { _ in }
  var onBroken: (Connection) -> RestOfInput = { _ in .dropped }
  var onClosed: (ConnectionEnd) -> Void = { _ in }

  func received(_ bytes: inout MutableRawSpan) {
    if let connection { onReceived(connection, &bytes) }
  }

  func peerFinished() {
    if let connection { onFinished(connection) }
  }

  func drained() {
    if let connection { onDrained(connection) }
  }

  func brokeWhilePaused() -> RestOfInput {
    connection.map(onBroken) ?? .dropped
  }

  func closed(_ reason: ConnectionEnd) {
    onClosed(reason)
    connection = nil
    // They may hold this handler.
    onReceived = { _, _ in }
    onFinished = { _ in }
    onDrained = { _ in }
    onBroken = { _ in .dropped }
    onClosed = { _ in }
  }
}

extension Backlog {
  static func unbounded() -> Backlog {
    bounded(by: MemoryBudget(total: .max / 2))
  }

  static func bounded(by budget: MemoryBudget) -> Backlog {
    Backlog(boundedBy: MemoryAllowance(of: budget, among: 1))
  }
}
