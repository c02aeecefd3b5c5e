import Gateway
import Glibc
import Transport

/// Handles the signals of `serve`: SIGTERM and SIGINT stop the gateway, and a further one hurries that; SIGHUP reads the file and the
/// certificates again; SIGUSR2 executes the program anew, with all connections.
///
/// The signals are handled on the first thread and not on those of Swift's concurrency, so that a stop begins, and has its
/// deadline, even if those are busy. A signal is told to the gateway before the next one is taken, and none is taken while another program
/// is executed: it is either known before, or left to that program.
struct ServingSignals {
  private let queue: SignalQueue

  /// From now on they wait until they are handled.
  init() async throws {
    queue = try await withCheckedThrowingContinuation { made in
      FirstThread.perform { made.resume(with: Result { try SignalQueue(of: Signals.handled) }) }
    }
  }

  /// Handles those that wait, and what comes, for as long as the process lives.
  ///
  /// - Parameter upgrade: what SIGUSR2 asks for.
  /// - Returns: the reloads, one after the other; a signal that comes during one leads to one more.
  func handle(for gateway: GatewayServer, upgrade: UpgradeOrder) -> Task<Void, Never> {
    let (wanted, want) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    FirstThread.perform { [queue] in
      var isStopping = false
      queue.serve { number in
        switch number {
        case SIGHUP: want.yield()
        // What comes of it is in the log; another one meanwhile is refused there.
        case SIGUSR2: Task { await gateway.upgrade(upgrade, on: "SIGUSR2") }
        default:
          if isStopping { gateway.hurry() } else { gateway.stop() }
          isStopping = true
        }
      }
    }
    return Task { for await _ in wanted { await gateway.hangUp() } }
  }

  /// Does something while no signal is taken.
  func holding(_ body: () -> UpgradeRefusal) -> UpgradeRefusal { queue.holding(body) }
}
