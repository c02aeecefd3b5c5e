import GatewayConfig
import Glibc
import LayerTestSupport
import NIOPosix
import TestSupport
import Testing

@testable import Sessions
@testable import Transport

/// A worker that asks a view, and the view's server, whose sockets the test reads and writes itself: everything happens on the thread of
/// the test, at times that it sets.
final class ViewScene {
  struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  let lines = LogLines()
  let reactor: Reactor
  let workers: [WorkerSessions]
  let view: RouteView
  let askers: [RouteAsker]
  /// What came of the questions, in the order in which they ended, by the names that the test gave them.
  var outcomes: [String] = []
  private let listener: Int32
  private let folder: TemporaryFolder
  private(set) var now: MonotonicTime
  /// Connections that `answerAny` reads.
  private var open: [Int32] = []

  /// - Parameters:
  ///   - workers: how many there are, all on one reactor.
  ///   - isUnix: whether the server listens on a Unix socket.
  static func run(
    workers: Int = 1, inFlight: Int = 8, isUnix: Bool = false,
    isListening: Bool = true, _ body: (ViewScene) throws -> Void
  ) async throws {
    try await Reactor.withoutThread { reactor in
      let folder = try TemporaryFolder()
      let listener =
        isUnix
        ? try Listener.unix(path: folder.path("view"))
        : try Listener.tcp(host: "127.0.0.1", port: 0, reusePort: false)
      var port = 0
      if case .tcp(_, let bound) = listener.address { port = bound }
      var configuration = ViewConfiguration(question: .view(port: port))
      if isUnix { configuration.question.url.socket = folder.path("view") }
      configuration.secrets = ["secret"]
      configuration.inFlight = inFlight
      // Nobody listens at the first port, which needs a privilege.
      if !isListening { configuration.question.url.port = 1 }
      let scene = try ViewScene(reactor, configuration, workers, listener.take(), folder)
      defer { Glibc.close(scene.listener) }
      try body(scene)
    }
  }

  private init(
    _ reactor: Reactor, _ configuration: ViewConfiguration, _ count: Int, _ listener: Int32,
    _ folder: TemporaryFolder
  ) throws {
    self.reactor = reactor
    self.listener = listener
    self.folder = folder
    now = reactor.now
    let served = try ConfigurationLoader.configuration(
      of: "installed_apps: [echo]\napplications: {main: {websocket: [{path: ws/, consumer: echo}]}}")
    let memory = MemoryBound(nil, otherwise: 1 << 20, .sending, log: .quiet)
    let process = ProcessState(
      served, ServedLayers([]), sendMemory: memory, memory: MemoryLimit.ofProcess(), threads: count,
      connectionLimit: 10, loops: MultiThreadedEventLoopGroup.singleton, log: lines.log)
    let view = RouteView(
      configuration, of: "chat", failures: process.upstreamFailures, log: lines.log)
    self.view = view
    let workers = (0..<count).map { WorkerSessions(on: reactor, number: $0, process: process) }
    self.workers = workers
    for worker in workers {
      // A worker lives as long as its reactor.
      let mailbox = reactor.mailbox { worker.handle($0) }
      worker.post = { mailbox.post($0) }
    }
    askers = workers.map { worker in
      let asker = RouteAsker(view, of: worker)
      worker.askers[ObjectIdentifier(view)] = asker
      return asker
    }
  }

  // MARK: - Asking

  /// - Returns: the ticket.
  @discardableResult
  func ask(
    _ name: String, _ question: ViewQuestion = .receive, by worker: Int = 0, _ terms: ViewTerms? = nil
  ) -> Int {
    askers[worker].ask(question, terms ?? ViewTerms(asker: name)) { [self] outcome in
      outcomes.append("\(name): \(outcome.words)")
    }
  }

  /// Until everything that can happen has happened.
  func settle() {
    for _ in 0..<3 { while reactor.turnOnce(at: now) {} }
  }

  func pass(_ time: Duration) {
    settle()
    now = now + time
    settle()
  }

  // MARK: - The server

  /// Waits for something that the kernel has to do first.
  private func wait<Value>(for what: String, _ look: () -> Value?) throws -> Value {
    for _ in 0..<20_000 {
      settle()
      if let value = look() { return value }
      usleep(200)
    }
    throw Failure(description: "\(what) did not come")
  }

  func accept() throws -> Int32 {
    let socket = try wait(for: "a connection") { acceptNow() }
    setNonBlocking(socket)
    return socket
  }

  /// Nil if nobody has connected.
  func acceptNow() -> Int32? {
    settle()
    let socket = Glibc.accept(listener, nil, nil)
    return socket < 0 ? nil : socket
  }

  /// A whole request with a length.
  func request(on socket: Int32) throws -> String {
    var bytes: [UInt8] = []
    return try wait(for: "a request") {
      bytes += received(on: socket) ?? []
      guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
      let text = String(decoding: bytes, as: UTF8.self)
      let length = text.split(separator: "\r\n").first { $0.hasPrefix("Content-Length: ") }
      let size = length.flatMap { Int($0.dropFirst("Content-Length: ".count)) } ?? 0
      return bytes.count >= end.upperBound + size ? text : nil
    }
  }

  private func received(on socket: Int32) -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: 65_536)
    let count = unsafe recv(socket, &buffer, buffer.count, Int32(MSG_DONTWAIT))
    return count < 0 ? nil : Array(buffer.prefix(count))
  }

  /// Whether the worker ends the connection.
  func isClosed(_ socket: Int32) throws -> Bool {
    try wait(for: "the end of a connection") { received(on: socket)?.isEmpty == true ? true : nil }
  }

  func send(_ text: String, on socket: Int32) {
    let count = unsafe Glibc.send(socket, text, text.utf8.count, Int32(MSG_NOSIGNAL))
    precondition(count == text.utf8.count)
  }

  func close(_ socket: Int32) { Glibc.close(socket) }

  /// Accepts, reads a request and answers it.
  @discardableResult
  func serve(_ answer: String = .empty) throws -> (socket: Int32, request: String) {
    let socket = try accept()
    let request = try request(on: socket)
    send(answer, on: socket)
    return (socket, request)
  }

  /// Answers a request with nothing, on whatever connection it comes.
  func answerAny() throws {
    try wait(for: "a request") { () -> Void? in
      if let socket = acceptNow() {
        setNonBlocking(socket)
        open.append(socket)
      }
      guard let socket = open.first(where: { received(on: $0)?.isEmpty == false }) else { return nil }
      send(.empty, on: socket)
      return ()
    }
  }

  func outcome(_ count: Int = 1) throws -> [String] {
    try wait(for: "an outcome") { outcomes.count >= count ? outcomes : nil }
  }
}

extension String {
  static func answer(_ status: Int, body: String) -> String { answer(status, "application/json", body) }

  static let empty = "HTTP/1.1 204 No Content\r\n\r\n"

  static func answer(_ status: Int, _ type: String, _ body: String) -> String {
    "HTTP/1.1 \(status) X\r\nContent-Type: \(type)\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
  }
}

extension ViewOutcome {
  var words: String {
    switch self {
    case .answered(let answer): "answered \(answer.actions.count)"
    case .refused(let refusal, let mayHaveRun):
      "refused \(refusal.status)" + (mayHaveRun ? ", may have run" : "")
    case .unusable(let failure): "unusable, \(failure.words)"
    case .failed(let failure): "failed, \(failure.words)"
    }
  }
}

extension ViewFailure {
  fileprivate var words: String { (mayHaveRun ? "may have run: " : "not run: ") + reason }
}
