import GatewayConfig
import Logging
import Synchronization

/// Looks now and then whether commands still find the gateway, and opens its sockets anew where their files are gone: whoever cleans up
/// their folder, or stops another service that has it, takes them away.
final class AdminWatch: Sendable {
  private struct State {
    var sockets: AdminSockets
    var isOver = false
    /// Whether they are being handed over, and stay as they are.
    var isHeld = false
    /// The paths of sockets that could not be opened anew, which has been told.
    var told: Set<String> = []
  }

  private let state: Mutex<State>
  private let server: AdminServer
  private let log: Logger

  private static let interval = Duration.seconds(2)

  init(of sockets: AdminSockets, _ server: AdminServer, log: Logger) {
    state = Mutex(State(sockets: sockets))
    self.server = server
    self.log = log
  }

  /// Looks until the task is cancelled.
  func run() async {
    while (try? await Task.sleep(for: Self.interval)) != nil { await look() }
  }

  /// Leaves the sockets as they are for now, or looks again.
  func hold(_ isHeld: Bool) {
    state.withLock { $0.isHeld = isHeld }
  }

  /// The sockets for the program that takes the place of this one. They stay these while they are held.
  var inheritable: [InheritedCommandSocket] {
    state.withLock { $0.isOver ? [] : $0.sockets.inheritable }
  }

  /// Removes the files, also of sockets that are being opened.
  func end() {
    let sockets = state.withLock { state in
      state.isOver = true
      return state.sockets
    }
    sockets.remove()
  }

  private func look() async {
    let before = state.withLock(\.sockets)
    let path = before.all.lazy.compactMap(\.path).first ?? ""
    let found = try? await FileThreads.questions.run { disk in
      disk.reach(path) { _ in
        var sockets = before
        let renewals = sockets.renew()
        return (sockets: sockets, renewals: renewals)
      }
    }
    guard let found, !found.renewals.isEmpty else { return }
    while !adopt(found.sockets), (try? await Task.sleep(for: .milliseconds(20))) != nil {}
    for renewal in found.renewals { await take(renewal) }
    if state.withLock(\.isOver) { found.sockets.remove() }
  }

  /// - Returns: false while they stay as they are.
  private func adopt(_ sockets: AdminSockets) -> Bool {
    state.withLock { state in
      guard !state.isHeld || state.isOver else { return false }
      state.sockets = sockets
      return true
    }
  }

  private func take(_ renewal: AdminSockets.Renewal) async {
    switch renewal {
    case .opened(let socket, let before):
      // Nobody finds that one any more.
      server.stopListening(on: before)
      let isListening: Void? = try? await server.listen(on: socket.descriptor)
      guard isListening != nil else { return }
      state.withLock { $0.told = [] }
      log.notice(
        "the socket for commands is there again: somebody had removed its file",
        metadata: ["address": "\(socket.address)"])
    case .failed(let socket, let fault):
      guard state.withLock({ $0.told.insert("\(socket.address)").inserted }) else { return }
      log.warning(
        "commands such as \"sluice reload\" do not find this gateway: somebody has removed the file of its socket",
        metadata: [
          "address": "\(socket.address)", "reason": "\(fault)",
          "hint": "it is made again once its folder is there, and the user of this process may write to it",
        ])
    }
  }
}
