import Dispatch
import Gateway
import Glibc

/// What signals ask of a gateway that serves: SIGTERM and SIGINT stop it, at once the second time; SIGHUP reads the certificates again.
///
/// They are taken on threads of their own, not on those of Swift's concurrency: however these are occupied, a stop begins and has
/// its deadline.
struct ServingSignals {
  private let sources: [any DispatchSourceSignal]

  /// Takes the signals from when this returns, until `end`.
  init(for gateway: GatewayServer) async {
    let stops = DispatchQueue(label: "sluice.stop")
    // Reading files may take long.
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
