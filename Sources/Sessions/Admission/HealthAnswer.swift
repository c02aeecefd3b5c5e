package import GatewayConfig
import WebSocketCore

extension ProcessState {
  /// Whether the answer to a probe is 200, and its text.
  package func health(_ probe: HealthProbe) -> (isGood: Bool, text: String) {
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

  /// A worker's answer to a health check that has no body and is not a handshake. The connection is closed after it.
  ///
  /// - Parameter action: of the route that the request leads to.
  /// - Returns: nil for any other request.
  func healthAnswer(to request: RequestHead, by action: HTTPAction) -> [UInt8]? {
    guard request.method == "GET" || request.method == "HEAD", !request.hasBody,
      case .health(let probe) = action
    else { return nil }
    let (isGood, text) = health(probe)
    let head = """
      HTTP/1.1 \(isGood ? "200 OK" : "503 Service Unavailable")\r
      Content-Type: text/plain; charset=utf-8\r
      Cache-Control: no-store\r
      Content-Length: \(text.utf8.count + 1)\r
      Connection: close\r
      Date: \(HTTPDate.now)\r
      \r\n
      """
    return Array((head + (request.method == "GET" ? text + "\n" : "")).utf8)
  }
}
