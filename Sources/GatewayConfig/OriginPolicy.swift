/// `allowed_hosts`: which `Origin` a WebSocket hand-shake may carry.
///
/// Django: `channels.security.websocket.OriginValidator`; see `allows(origin:host:)` for the exact rules.
package enum OriginPolicy: Sendable, Hashable {
  /// Not given: an `Origin` must name the request's own host; a client that sends none passes.
  case sameHost
  /// Given: Django's rules over the patterns.
  case patterns([String])
}
