import Bytes

/// Reads the address of an upstream, and the options of a proxy.
struct UpstreamReader {
  /// What the server behind the address gets.
  enum Use {
    /// The requests of clients.
    case proxy
    /// Requests of Sluice's own.
    case question
  }

  static let webSocketExample = "to: ws://127.0.0.1:8001"

  let reading: Reading
  /// The names that the route captures; nil if they are not known.
  let captures: [String]?
  var use = Use.proxy

  /// The address of a WebSocket server, for one that is written as a view's URL.
  static func asWebSocketURL(_ text: String) -> String {
    text.hasPrefix("http") && !text.contains("@")
      ? "ws" + text.dropFirst("http".count) : "ws://127.0.0.1:8001"
  }

  /// `proxy:` of an HTTP route: an address, or a mapping with `to`.
  func readHTTP(_ node: Node) -> UpstreamConfiguration? {
    guard case .mapping = node.content else { return readProxied(node, [.http, .https]) }
    guard let mapping = MappingCursor(node, .proxy, reading) else { return nil }
    let to = mapping.required("to", hint: "to: http://127.0.0.1:8001")
    var upstream = to.flatMap { readProxied($0, [.http, .https]) }
    if let choice = mapping.choice("host", of: UpstreamConfiguration.HostHeader.self) {
      upstream?.hostHeader = choice
    }
    if let time = mapping.duration("connect_timeout") { upstream?.connectTimeout = time }
    if let time = mapping.duration("read_timeout") { upstream?.readTimeout = time }
    if let time = mapping.duration("idle_timeout") { upstream?.idleTimeout = time }
    if let size = mapping.byteCount("body") { upstream?.body = size }
    readTrust(mapping.value("tls"), of: &upstream)
    mapping.finish()
    return upstream
  }

  /// `consumer: proxy` of a WebSocket route, whose options stand beside it.
  func readWebSocket(_ to: Node, host: Node?, tls: Node?) -> UpstreamConfiguration? {
    var upstream = readProxied(to, [.ws, .wss])
    if let host, let choice = reading.choice(host, "\"host\"", of: UpstreamConfiguration.HostHeader.self) {
      upstream?.hostHeader = choice
    }
    readTrust(tls, of: &upstream)
    return upstream
  }

  /// The address of a proxy's upstream. It must not be Sluice itself: each request would come back until no connection is left.
  private func readProxied(_ node: Node, _ schemes: [UpstreamConfiguration.Scheme]) -> UpstreamConfiguration?
  {
    let upstream = readAddress(node, schemes)
    if let upstream, let own = reading.ownAddresses.first(where: { $0.accepts(upstream) }) {
      reading.findings.error(
        .conflictingKeys,
        "\"\(upstream.place)\" is an address of Sluice itself, \(own) in \"server\": requests would come back to Sluice",
        at: node.range, hint: "name the server that is to answer, or change \"bind\"")
    }
    return upstream
  }

  /// `tls:`, for an upstream whose URL uses TLS.
  func readTrust(_ node: Node?, of upstream: inout UpstreamConfiguration?) {
    guard let node, let mapping = MappingCursor(node, .upstreamTLS, reading, shape: "{ca: FILE}") else {
      return
    }
    var trust = UpstreamConfiguration.Trust()
    let authorities = mapping.value("ca")
    trust.authorities = authorities.flatMap(ServerTLSReader(reading: reading).checkedAuthorities)
    if let value = mapping.value("verify") {
      trust.verifiesCertificate = mapping.choice("verify", of: Verification.self) != .never
      if !trust.verifiesCertificate, authorities != nil {
        reading.findings.error(
          .conflictingKeys, "\"ca\" has no effect with \"verify: false\"", at: value.range,
          hint: "remove one of them")
      }
    }
    mapping.finish()
    if let scheme = upstream?.scheme, !scheme.isSecure {
      reading.findings.error(
        .conflictingKeys, "\"tls\" needs an address that begins with \"\(scheme.rawValue)s://\"",
        at: node.range)
    }
    upstream?.trust = trust
  }

  private enum Verification: String, CaseIterable {
    case always = "true"
    case never = "false"
  }

  /// `scheme://host[:port][/path]`, or `unix:SOCKET[:/path]`. The path is a template with captures.
  func readAddress(_ node: Node, _ schemes: [UpstreamConfiguration.Scheme]) -> UpstreamConfiguration? {
    reading.word(node, "the address of an upstream").flatMap { readAddress($0, at: node, schemes) }
  }

  /// - Parameter text: the value of the node, or the beginning of it.
  func readAddress(
    _ text: String, at node: Node, _ schemes: [UpstreamConfiguration.Scheme]
  ) -> UpstreamConfiguration? {
    func fail(_ message: String, hint: String) -> UpstreamConfiguration? {
      reading.refuse(.invalidValue, message, at: node.range, hint: hint)
    }
    if text.contains("?") || text.contains("#") {
      return switch use {
      case .proxy:
        fail(
          "the URL of an upstream cannot contain a query or a \"#\"", hint: "the client's query is passed on")
      case .question: fail("this URL cannot contain a \"#\"", hint: "remove it, and what follows it")
      }
    }
    if text.hasPrefix("unix:") {
      guard let (socket, path) = splitSocket(text) else {
        return fail(
          "\"\(text)\" is not a Unix socket, or a Unix socket and a path",
          hint: "write unix:/run/app.sock or unix:/run/app.sock:/path/")
      }
      let upstream = UpstreamConfiguration(
        scheme: schemes[0], host: "localhost", port: schemes[0].standardPort, socket: socket)
      return add(path, to: upstream, at: node)
    }
    if let socket = Self.socketWrittenOtherwise(text) {
      return fail("\"\(text)\" is not a URL", hint: "write unix:\(socket)")
    }
    guard let (scheme, rest) = split(text, schemes, at: node) else { return nil }
    let slash = rest.firstIndex(of: "/") ?? rest.endIndex
    let authority = String(rest[..<slash])
    let path = String(rest[slash...])
    if authority.contains("@") {
      return fail(
        "\(use == .proxy ? "the URL of an upstream" : "this URL") cannot contain a user or a password",
        hint: use == .proxy
          ? "the client's own Authorization header is passed on" : "remove them: nothing would send them")
    }
    guard let (host, port) = split(authority, scheme) else {
      return fail("\"\(authority)\" is not a host, or a host and a port", hint: Self.example(schemes))
    }
    return add(path, to: UpstreamConfiguration(scheme: scheme, host: host, port: port), at: node)
  }

  /// The scheme of a URL, and what stands behind its `://`.
  private func split(
    _ text: String, _ schemes: [UpstreamConfiguration.Scheme], at node: Node
  ) -> (UpstreamConfiguration.Scheme, rest: String)? {
    func fail(_ message: String, hint: String?) -> (UpstreamConfiguration.Scheme, rest: String)? {
      reading.refuse(.invalidValue, message, at: node.range, hint: hint ?? Self.example(schemes))
    }
    let parts = text.split(separator: "://", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    // A user and a password may stand before the "@".
    let shown = text.contains("@") ? "the value" : "\"\(text)\""
    guard parts.count == 2 else {
      let place = String(text.prefix { $0 != "/" })
      let isAddress = split(place, schemes[0]) != nil && (place.contains(":") || place.contains("."))
      return fail(
        "\(shown) is not a URL",
        hint: isAddress ? "write \(schemes[0].rawValue)://\(text)" : Reading.literalHint(node))
    }
    guard let scheme = schemes.first(where: { $0.rawValue == parts[0] }) else {
      return fail(
        "\(use == .proxy ? "an upstream of this kind" : "Sluice asks with HTTP, so it") needs a URL with \(schemes.map(\.rawValue).joined(separator: " or ")), not \"\(parts[0])\"",
        hint: otherScheme(parts[0], schemes).flatMap {
          parts[1].contains("@") ? nil : "write \($0)://\(parts[1])"
        })
    }
    return (scheme, parts[1])
  }

  private static func example(_ schemes: [UpstreamConfiguration.Scheme]) -> String {
    "write \(schemes[0].rawValue)://127.0.0.1:8001"
  }

  /// The scheme for the same kind of connection, with or without TLS.
  private func otherScheme(_ scheme: String, _ known: [UpstreamConfiguration.Scheme]) -> String? {
    let others = ["http": "ws", "https": "wss", "ws": "http", "wss": "https"]
    return others[scheme.lowercased()].flatMap { other in known.first { $0.rawValue == other }?.rawValue }
  }

  private func add(
    _ path: String, to upstream: UpstreamConfiguration, at node: Node
  ) -> UpstreamConfiguration? {
    guard !path.isEmpty else { return upstream }
    guard let template = reading.textTemplate(path, at: node.range) else { return nil }
    reading.checkCaptures(template.places, among: captures, at: node.range)
    if path.utf8.contains(where: { $0 <= 0x20 || $0 >= 0x7F }) {
      return reading.refuse(
        .invalidValue, "a URL cannot contain spaces or special characters", at: node.range,
        hint: "percent-encode them")
    }
    var upstream = upstream
    upstream.path = template
    return upstream
  }

  /// The path of the socket, and the path of the request after a second colon, in nginx's notation.
  private func splitSocket(_ text: String) -> (socket: String, path: String)? {
    let parts = text.dropFirst("unix:".count).split(
      separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    let socket = String(parts.first ?? "")
    guard socket.hasPrefix("/"), case .unix? = BindAddress("unix:\(socket)"), !socket.utf8.contains(0) else {
      return nil
    }
    guard parts.count == 2 else { return (socket, "") }
    return parts[1].hasPrefix("/") ? (socket, String(parts[1])) : nil
  }

  /// Other programs' notations for a Unix socket: the path itself, `http://unix:/path`, `http+unix://%2Fpath`, `unix:///path`.
  private static func socketWrittenOtherwise(_ text: String) -> String? {
    if text.hasPrefix("/"), text.contains(".sock") { return text }
    for start in ["http://unix:", "https://unix:", "ws://unix:", "wss://unix:"] where text.hasPrefix(start) {
      return String(text.dropFirst(start.count))
    }
    for start in ["http+unix://", "https+unix://"] where text.hasPrefix(start) {
      return String(text.dropFirst(start.count)).replacing("%2F", with: "/").replacing("%2f", with: "/")
    }
    return nil
  }

  private func split(_ authority: String, _ scheme: UpstreamConfiguration.Scheme) -> (String, Int)? {
    if case .tcp(let host, let port)? = BindAddress(authority) {
      return port > 0 && isHost(host) ? (host, port) : nil
    }
    guard case .tcp(let host, _)? = BindAddress(authority + ":1"), isHost(host) else { return nil }
    return (host, scheme.standardPort)
  }

  private func isHost(_ text: String) -> Bool {
    text.utf8.allSatisfy { $0.isLetterOrDigit || "-._:".utf8.contains($0) }
  }
}

extension BindAddress {
  /// Whether connections to the upstream arrive at this address. Names other than `localhost` are not looked up.
  fileprivate func accepts(_ upstream: UpstreamConfiguration) -> Bool {
    switch self {
    case .unix(let path): return upstream.socket == path
    case .tcp(let host, let port):
      guard upstream.socket == nil, port == upstream.port else { return false }
      let loopback = ["localhost", "127.0.0.1"]
      let known =
        switch host {
        case "0.0.0.0": loopback + [host]
        case "::": loopback + ["::1", "0.0.0.0", host]
        case "127.0.0.1", "localhost": loopback
        default: [host.lowercased()]
        }
      return known.contains(upstream.host.lowercased())
    }
  }
}
