/// `refusals:`, how a WebSocket client is told that it is refused.
package enum RefusalForm: String, Sendable, Hashable, CaseIterable {
  /// Its handshake is answered with an HTTP status, which browsers do not show to pages.
  case http
  /// Its handshake is accepted, and the connection is closed at once with a code that pages can read.
  case close
}
