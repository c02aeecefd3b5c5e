import GatewayConfig
import Glibc
import Logging
import NIOPosix
import Sessions
import Synchronization
import Transport

/// The server for commands while a gateway runs, and its sockets.
struct AdminService: Sendable {
  let server: AdminServer
  let watch: AdminWatch
  /// Owned here: they are cancelled by `finish`.
  let tasks: [Task<Void, Never>]

  /// How long the last answers may take to be read.
  private static let patience = Duration.seconds(1)

  /// Accepts nothing more until `goOn`, for a program that takes the place of this one: who connects waits in the queues of the sockets,
  /// which are handed over. Who has connected before has an answer, or its connection has ended.
  func pause() async {
    watch.hold(true)
    await server.pause(within: Self.patienceOfPause)
  }

  /// What is asked meanwhile takes so long at most: who comes in from now on waits for it.
  private static let patienceOfPause = Duration.milliseconds(300)

  func goOn() async {
    await server.goOn()
    watch.hold(false)
  }

  /// Lets the answers that are ready be read, and closes everything. What is still being carried out is cancelled, and not waited for: it
  /// may wait for a disk.
  func finish() async {
    watch.end()
    await server.finish(within: Self.patience)
    for task in tasks { task.cancel() }
  }
}

extension GatewayServer {
  /// Opens the sockets for commands. Where there is no place for the one that is named after the file, the log says so, and the gateway runs
  /// without.
  ///
  /// - Throws: `StartFailure` for an address that the file names. The other sockets' files are removed then.
  func openAdmin(beside listening: ListeningSockets) throws -> AdminSockets? {
    guard let adminPlace else { return nil }
    let sockets = AdminSockets(
      configuration.server.admin, at: adminPlace, isShared: configuration.server.reusesPort,
      inheriting: handed?.record?.commands ?? [])
    if let refusal = sockets.refusal {
      guard isTakingOver else {
        sockets.remove()
        listening.remove()
        throw refusal
      }
      // Nothing is worth the sessions of the process before.
      log.error("\(refusal)", metadata: ["hint": "the gateway goes on without this address"])
    }
    if let missing = sockets.missing { tellMissing(missing, sockets) }
    return sockets
  }

  private func tellMissing(_ reason: String, _ sockets: AdminSockets) {
    log.warning(
      sockets.all.isEmpty
        ? "commands such as \"sluice reload\" cannot reach this gateway: there is no place for its socket"
        : "commands find this gateway only while its file says where: there is no place for the socket that is named after the file",
      metadata: [
        "reason": "\(reason)",
        "hint":
          "let the user of this process write to one of these folders\(sockets.all.isEmpty ? ", name a path with server.admin, or write admin: false" : "")",
      ])
  }

  func startAdmin(on sockets: AdminSockets?) async throws -> AdminService? {
    guard let sockets, !sockets.all.isEmpty else { return nil }
    let server = AdminServer(AdminAccess(configuration.server.admin), on: loops.next(), log: log)
    for socket in sockets.all { try await server.listen(on: socket.descriptor) }
    let desk = AdminDesk(self, gate: operations)
    let answering = Task { await server.run { await desk.answer($0, from: $1) } }
    tell(of: sockets)
    let watch = AdminWatch(of: sockets, server, log: log)
    let service = AdminService(server: server, watch: watch, tasks: [answering, Task { await watch.run() }])
    commands.withLock { $0 = service }
    return service
  }

  private func tell(of sockets: AdminSockets) {
    for socket in sockets.all {
      log.info("commands are answered", metadata: ["address": "\(socket.address)"])
    }
    guard let first = sockets.first else { return }
    log.notice(
      "another gateway of the same file runs; commands have to say which of them is meant",
      metadata: ["pid": .number(first.process), "hint": "sluice reload --pid \(getpid())"])
  }
}
