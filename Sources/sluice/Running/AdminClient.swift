import AsyncHTTPClient
import Bench
import Bytes
import Gateway
import GatewayConfig
import Glibc
import JSON
import NIOCore
import NIOHTTP1
import NIOPosix
import NetworkFaults
import Sessions
import Transport

/// Has a running gateway do something.
struct AdminClient {
  let gateway: RunningGateway
  /// How long the gateway may give no sign of life.
  let patience: Duration

  /// Longer than anything that a gateway is asked: it is waited for as long as there are signs of life.
  private static let longest = Duration.seconds(7 * 86_400)
  private static let longestAnswer = 64 << 20

  func get(_ path: String) async throws(CommandFailure) -> Answer {
    try await send(.GET, path, nil, within: patience)
  }

  /// Asks for something that may take long. A gateway that gives no sign of life first is asked for nothing.
  ///
  /// - Parameter body: keys that are nil are left out.
  func post(_ path: String, _ body: [(String, JSON?)]) async throws(CommandFailure) -> Answer {
    let running = try await progress()
    let members = body.compactMap { key, value in value.map { JSON.Member(key: key, value: $0) } }
    let answer = try await watching(path) { () async throws(CommandFailure) in
      try await send(.POST, path, .object(members), within: Self.longest)
    }
    guard answer.isUnknown else { return answer }
    throw CommandFailure(
      "the running gateway is of version \(running["version"]?.string?.printable ?? "unknown"), which does not know \(path): \"sluice upgrade\" or a restart has another program run",
      code: "unknown")
  }

  /// How far the gateway is with what it does. It costs it little.
  func progress() async throws(CommandFailure) -> JSON {
    var answer = try await get("/progress")
    // A version that does not know it.
    if answer.isUnknown { answer = try await get("/status") }
    guard answer.status == 200 else { throw CommandFailure(answer) }
    try answer.has([("version", .text), ("pid", .integer)])
    return answer.json
  }
}

extension AdminClient {
  /// The path of the file that the gateway serves, from the root on.
  func servedFile() async throws(CommandFailure) -> String {
    var known = try await progress()
    // A version that says it only there.
    if known["file"] == nil { known = try await get("/status").json }
    guard let file = known["file"]?.string else {
      throw CommandFailure(
        "\(gateway.address) does not say which file it serves: it may be no gateway", code: "other-file")
    }
    return file
  }

  /// Whether nothing listens at its address any more.
  var isClosed: Bool {
    get async {
      do throws(CommandFailure) {
        _ = try await progress()
        return false
      } catch {
        return error.json["code"]?.string == "no-gateway"
      }
    }
  }
}

// MARK: - Signs of life

extension AdminClient {
  private enum Outcome: Sendable {
    case answer(Answer)
    case failure(CommandFailure)
  }

  /// Waits for an answer as long as the gateway gives signs of life, which are shown on a terminal.
  private func watching(
    _ path: String, _ ask: @escaping @Sendable () async throws(CommandFailure) -> Answer
  ) async throws(CommandFailure) -> Answer {
    let outcome = await withTaskGroup(of: Outcome?.self) { tasks in
      tasks.addTask {
        do throws(CommandFailure) {
          return .answer(try await ask())
        } catch {
          return .failure(error)
        }
      }
      tasks.addTask { await silence(during: path).map(Outcome.failure) }
      let first = await tasks.next() ?? nil
      tasks.cancelAll()
      return first
    }
    switch outcome {
    case .answer(let answer): return answer
    case .failure(let failure): throw failure
    case nil: throw CommandFailure("there is no answer")
    }
  }

  /// How often a gateway that does something is asked whether it is alive.
  private static let pace = Duration.seconds(1)

  /// Returns when there was no sign of life for too long: why nothing is waited for any more. Nil if it is cancelled.
  private func silence(during path: String) async -> CommandFailure? {
    var line = ProgressLine()
    defer { line.clear() }
    var last = MonotonicTime.now
    while !Task.isCancelled {
      try? await Task.sleep(for: Self.pace)
      do throws(CommandFailure) {
        let progress = try await progress()
        last = .now
        if !Task.isCancelled { line.show(progress) }
      } catch {
        guard !Task.isCancelled else { return nil }
        if MonotonicTime.now.since(last) >= patience { return silent(with: path) }
      }
    }
    return nil
  }

  /// - Parameter path: of what it was asked to do; nil for nothing.
  func silent(with path: String? = nil) -> CommandFailure {
    let process = gateway.process.map(\.process).flatMap { $0 > 0 ? $0 : nil }
    let who = process.map { "process \($0)" } ?? "\(gateway.address)"
    let why =
      if let process, OtherProcess.isStopped(process) {
        "it is stopped (\"kill -CONT \(process)\" lets it go on)"
      } else {
        "it may be stopped or overloaded"
      }
    let order = path.map { "; what it was asked for (\($0)) may be done once it goes on" } ?? ""
    return CommandFailure(
      "\(who) accepts connections, and has not answered for \(patience.written): \(why)\(order)",
      code: "no-answer")
  }
}

// MARK: - HTTP

extension AdminClient {
  private func send(
    _ method: HTTPMethod, _ path: String, _ body: JSON?, within time: Duration
  ) async throws(CommandFailure) -> Answer {
    if let shortage = DescriptorLimit.shortageOfClient() { throw CommandFailure(shortage) }
    let client = HTTPClient.guarded(
      on: .singleton, refusing: { [gateway] in Self.foreign($0, at: gateway.address) }
    ) {
      $0.timeout.connect = TimeAmount(min(time, patience))
    }
    let request = request(method, path, body)
    let outcome: Result<(Int, [UInt8]), any Error>
    do {
      let response = try await client.execute(request, timeout: TimeAmount(time))
      let text = try await response.body.collect(upTo: Self.longestAnswer)
      outcome = .success((Int(response.status.code), Array(text.readableBytesView)))
    } catch {
      outcome = .failure(error)
    }
    do {
      try await client.shutdown()
      let (status, text) = try outcome.get()
      guard let json = try? JSON.parse(text.rawBytes) else {
        throw CommandFailure("\(gateway.address) is not the address of a gateway's commands")
      }
      return Answer(gateway: "\(gateway.address)", status: status, json: json)
    } catch let failure as CommandFailure {
      throw failure
    } catch {
      throw failure(for: error)
    }
  }

  /// Why nothing is asked of whoever listens; nil for an address of the loopback, where the token says that.
  private static func foreign(_ channel: any Channel, at address: BindAddress) -> ForeignListener? {
    guard case .unix(let path) = address else { return nil }
    return ForeignListener(at: path, channel.peerCredentials)
  }

  private func request(_ method: HTTPMethod, _ path: String, _ body: JSON?) -> HTTPClientRequest {
    let base =
      switch gateway.address {
      case .unix(let path): "http+unix://\(Disk().absolute(path).percentEncodedComponent)"
      case .tcp: "http://\(gateway.address)"
      }
    var request = HTTPClientRequest(url: base + path)
    request.method = method
    if case .unix = gateway.address { request.headers.add(name: "Host", value: "localhost") }
    if let token = gateway.token?.text {
      request.headers.add(name: "Authorization", value: "Bearer \(token)")
    }
    if let body {
      request.headers.add(name: "Content-Type", value: "application/json")
      request.body = .bytes(ByteBuffer(bytes: body.bytes))
    }
    return request
  }

  private func failure(for error: any Error) -> CommandFailure {
    switch error {
    case let foreign as ForeignListener: return CommandFailure("\(foreign)", code: "foreign-user")
    case let error as HTTPClientError where error == .connectTimeout || error == .deadlineExceeded:
      return silent()
    // The queue of a Unix socket is full.
    case _ where number(of: error) == EAGAIN: return silent()
    case let error as HTTPClientError where error == .remoteConnectionClosed: return Self.ended
    case UpstreamFault.closedUnanswered, UpstreamFault.closedIdle, UpstreamFault.endedEarly: return Self.ended
    case let error as IOError where [ECONNRESET, EPIPE].contains(error.errnoCode): return Self.ended
    case _ where [ECONNREFUSED, ENOENT].contains(number(of: error)):
      return CommandFailure("no gateway runs: nothing listens on \(gateway.address)", code: "no-gateway")
    default:
      return CommandFailure(
        "\(gateway.address): \(NetworkFault.words(for: error) ?? PeerFault(error, of: .server).sentence)")
    }
  }

  private static let ended = CommandFailure(
    "the gateway has closed the connection without an answer: it has ended, or is ending; its log says more",
    code: "ended")

  private func number(of error: any Error) -> Int32? {
    let single = (error as? NIOConnectionError)?.connectionErrors.first?.error ?? error
    return (single as? IOError)?.errnoCode
  }
}
