import Bytes
package import GatewayConfig
import Routing

/// The URL of a running gateway's publish route, and its token, for `sluice send`.
package struct PublishTarget: Sendable {
  /// `http://127.0.0.1:8000/api/publish/`, or `http+unix://%2Frun%2Fsluice.sock/api/publish/`.
  package var url: String
  /// Nil if none is needed, or the route accepts only tokens of `auth`.
  package var token: String?

  package init(url: String, token: String?) {
    self.url = url
    self.token = token
  }

  /// Why the configuration does not give the target; a sentence.
  package struct Unknown: Error, CustomStringConvertible {
    package var description: String
  }

  /// The first `publish` route of the served application that allows the operation and the groups.
  ///
  /// - Parameter groups: those that the request names.
  package init(
    for operation: PublishConfiguration.Operation = .publish, _ groups: [String],
    in configuration: Configuration, at url: String?
  ) throws(Unknown) {
    let application = configuration.served
    let publishing = zip(application.httpRoutes, application.httpRouter.routes).compactMap {
      (route, pattern) -> (publish: PublishConfiguration, pattern: RoutePath)? in
      guard case .publish(let publish) = route.action, publish.wire == .json,
        publish.operations.contains(operation)
      else { return nil }
      return (publish, pattern)
    }
    guard !publishing.isEmpty else {
      let rest = operation == .publish ? "" : " whose \"allow\" has \"\(operation.rawValue)\""
      throw Unknown(description: "the application \"\(application.name)\" has no \"publish\" route\(rest)")
    }
    let fitting = publishing.filter { route in
      groups.allSatisfy { group in route.publish.groups.contains { $0.matches(group) } }
    }
    guard let first = fitting.first else {
      let names = groups.map { "\"\($0)\"" }.joined(separator: ", ")
      throw Unknown(description: "no \"publish\" route of the configuration allows the group \(names)")
    }
    if let url {
      self.init(url: url, token: first.publish.tokens.first)
      return
    }
    let known = fitting.first { _, pattern in
      pattern.captureNames.isEmpty && pattern.patterns.allSatisfy { $0.syntax == .path }
    }
    guard let known else {
      throw Unknown(description: "the path of the \"publish\" route is not known: give --url")
    }
    guard let base = Self.base(configuration.server) else {
      throw Unknown(description: "the port is chosen when the gateway starts: give --url")
    }
    self.init(url: base + "/" + known.pattern.text.percentEncodedPath, token: known.publish.tokens.first)
  }

  /// Why no group can have the name, as a sentence without a full stop; nil for a valid name.
  package static func fault(inGroup name: String) -> String? {
    if GroupName.isOpen(name) { return nil }
    let shown = name.utf8.count > 120 ? String(decoding: name.utf8.prefix(120), as: UTF8.self) + "…" : name
    let found =
      if let character = name.first(where: { !$0.utf8.allSatisfy(GroupName.isLegal) }) {
        character == " " ? "it contains a space" : "it contains \"\(character)\""
      } else if name.isEmpty {
        "it is empty"
      } else if name.hasPrefix(GroupName.reservedPrefix) {
        "names that begin with \"\(GroupName.reservedPrefix)\" are reserved"
      } else { "it is longer than \(GroupName.longest) characters" }
    return
      "\"\(shown)\" is not a valid group name: \(found) (1 to \(GroupName.longest) of A-Z a-z 0-9 . _ -)"
  }

  /// What to do about a URL that is not that of a publish route.
  ///
  /// - Parameter configured: the URL in the configuration; nil if it is not known.
  package static func advice(for url: String, configured: String?) -> String {
    guard let configured else { return "give the URL of the \"publish\" route with --url" }
    if url == configured { return "what answers there is not a gateway with this configuration" }
    if Self.path(of: url) + "/" == Self.path(of: configured) { return "add a \"/\" at its end: \(url)/" }
    return "in the configuration it is \(configured)"
  }

  /// The path of a URL, and what follows it.
  private static func path(of url: String) -> Substring {
    let rest = url.firstRange(of: "://").map { url[$0.upperBound...] } ?? url[...]
    return rest[(rest.firstIndex(of: "/") ?? rest.endIndex)...]
  }

  /// The first address of the gateway, preferably one without TLS, whose certificate would be for another name.
  private static func base(_ server: ServerConfiguration) -> String? {
    let listeners = server.listeners
    guard let listener = listeners.first(where: { !$0.isSecure }) ?? listeners.first else { return nil }
    let scheme = listener.isSecure ? "https" : "http"
    switch listener.address {
    case .unix(let path): return "\(scheme)+unix://\(path.percentEncodedComponent)"
    case .tcp(_, 0): return nil
    case .tcp(let host, let port):
      let reachable = ["0.0.0.0": "127.0.0.1", "::": "::1"][host] ?? host
      return "\(scheme)://\(BindAddress.tcp(host: reachable, port: port))"
    }
  }
}
