import Dispatch
import Gateway
import Glibc

/// Handles the signals of `serve`: SIGTERM and SIGINT stop the gateway, and stop it at once the second time; SIGHUP loads the
/// certificates again.
///
/// The signals are handled on separate threads and not on those of Swift's concurrency, so that a stop begins, and has its
/// deadline, even if those are busy.
struct ServingSignals {
  private let sources: [any DispatchSourceSignal]

  /// Handles the signals from now until `end`.
  init(for gateway: GatewayServer) async {
    let stops = DispatchQueue(label: "sluice.stop")
    // A queue of its own, because reading files may take long.
    let reloads = DispatchQueue(label: "sluice.reload")
    var stopping = [SIGTERM, SIGINT].map { DispatchSource.makeSignalSource(signal: $0, queue: stops) }
    let reload = DispatchSource.makeSignalSource(signal: SIGHUP, queue: reloads)
    let order = StopOrder(gateway)
    for source in stopping { source.setEventHandler { order.give() } }
    reload.setEventHandler { gateway.reloadCertificates(environment: Environment.variables) }
    stopping.append(reload)
    sources = stopping
    for source in sources {
      await withCheckedContinuation { taken in
        source.setRegistrationHandler { taken.resume() }
        source.resume()
      }
    }
  }

  func end() {
    for source in sources { source.cancel() }
  }

  /// Only used on the queue of the signals.
  private final class StopOrder: @unchecked Sendable {
    private let gateway: GatewayServer
    private var isGiven = false

    init(_ gateway: GatewayServer) {
      self.gateway = gateway
    }

    func give() {
      if isGiven { gateway.stopNow() } else { gateway.stop() }
      isGiven = true
    }
  }
}
