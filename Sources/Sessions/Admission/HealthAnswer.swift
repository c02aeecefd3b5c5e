package import GatewayConfig

extension ProcessState {
  /// Whether the answer to a probe is 200, and its text.
  private func health(_ probe: HealthProbe) -> (isGood: Bool, text: String) {
    switch probe {
    case .live: (true, "live")
    case .ready: isReady ? (true, "ready") : (false, "not taking new sessions\(reasonOfUnreadiness)")
    }
  }

  /// Begins with a colon; empty while the gateway starts or stops.
  private var reasonOfUnreadiness: String {
    let names = layers.unavailable.map { "\"\($0)\"" }
    guard !names.isEmpty else { return "" }
    let subject =
      names.count == 1
      ? "the channel layer \(names[0]) is" : "the channel layers \(names.joined(separator: ", ")) are"
    return ": \(subject) not available"
  }

  /// The answer to a probe.
  package func healthAnswer(_ probe: HealthProbe) -> HTTPAnswer {
    let (isGood, text) = health(probe)
    return .plain(isGood ? 200 : 503, text)
  }
}
