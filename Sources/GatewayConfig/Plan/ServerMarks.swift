import Bytes

/// What is looser outside of the routes.
struct ServerMarks {
  let old: Configuration
  let new: Configuration

  private let place = MarkPlace()

  init(_ old: Configuration, _ new: Configuration) {
    self.old = old
    self.new = new
  }

  var all: [SecurityMark] {
    proxyMarks + listenerMarks + adminMarks + tlsMarks + limitMarks + authMarks + layerMarks
  }

  // MARK: - Where clients are

  private var proxyMarks: [SecurityMark] { networkMarks + socketMarks + headerMarks }

  private var networkMarks: [SecurityMark] {
    let (known, now) = (old.server.trustedProxies, new.server.trustedProxies)
    guard !new.server.listeners.allSatisfy(believesHeadersOfAll) else { return [] }
    return now.networks.compactMap { network in
      network.address(outsideOf: known.networks).map { address in
        place.mark(
          .proxiesWidened, "server.trusted_proxies",
          "\(network) is believed about where clients are, which \(address) was not")
      }
    }
  }

  private var socketMarks: [SecurityMark] {
    let sockets = new.server.listeners.filter(\.isSocket)
    let isOld = !sockets.isEmpty && sockets.allSatisfy(believesHeadersOfAll)
    guard new.server.trustedProxies.unix, !old.server.trustedProxies.unix, !isOld else { return [] }
    return [
      place.mark(
        .proxiesWidened, "server.trusted_proxies",
        "whoever connects to a Unix socket is believed about where clients are")
    ]
  }

  /// Whether an address that has only headers of the PROXY protocol believed those of everybody before: a list narrows that.
  private func believesHeadersOfAll(_ listener: ServerConfiguration.Listener) -> Bool {
    guard listener.options.proxyProtocol, let before = old.server.listener(at: listener.address) else {
      return false
    }
    return before.options.proxyProtocol && before.believesAll(by: old.server.trustedProxies)
  }

  /// Addresses where everybody may name any client: those with `proxy_protocol` that `trusted_proxies` says nothing of.
  private var headerMarks: [SecurityMark] {
    let (known, now) = (old.server.trustedProxies, new.server.trustedProxies)
    return new.server.listeners.compactMap { listener in
      guard listener.options.proxyProtocol, listener.believesAll(by: now) else { return nil }
      let before = old.server.listener(at: listener.address)
      guard before?.believesAll(by: known) != true else { return nil }
      // Then that is what is marked.
      guard !listener.isSocket || now.isEmpty || known.unix else { return nil }
      return place.mark(
        .proxiesWidened, before?.options.proxyProtocol == true ? "server.trusted_proxies" : "server.bind",
        "whoever connects to \(listener.address) says itself where the client is (proxy_protocol)")
    }
  }

  // MARK: - Addresses

  private var listenerMarks: [SecurityMark] {
    let (known, now) = (old.server.listeners, new.server.listeners)
    return now.flatMap { listener -> [SecurityMark] in
      guard let before = old.server.listener(at: listener.address) else {
        return marks(ofNew: listener, beside: known)
      }
      var marks = marks(ofFileOf: listener, since: before.options)
      if before.isSecure, !listener.isSecure {
        marks.append(place.mark(.encryptionOff, "server.tls", "TLS is off on \(listener.address)"))
      }
      return marks
    }
  }

  private func marks(
    ofNew listener: ServerConfiguration.Listener, beside known: [ServerConfiguration.Listener]
  ) -> [SecurityMark] {
    if listener.isSocket {
      // One that lets the same users in may have had another path.
      let others = known.filter(\.isSocket)
      guard !others.contains(where: { marks(ofFileOf: listener, since: $0.options).isEmpty }) else {
        return []
      }
      return marks(ofFileOf: listener, since: BindOptions())
    }
    guard listener.address.isOfOtherMachines else { return [] }
    let others = known.filter(\.address.isOfOtherMachines)
    if others.isEmpty {
      return [
        place.mark(.addressWidened, "server.bind", "other machines reach Sluice at \(listener.address)")
      ]
    }
    guard !listener.isSecure, others.allSatisfy(\.isSecure) else { return [] }
    return [
      place.mark(
        .encryptionOff, "server.bind", "other machines reach Sluice without TLS at \(listener.address)")
    ]
  }

  /// The permissions of a Unix socket's file, and its group: whoever may write to it connects. Without a mode the umask of the process
  /// decides, which usually lets nobody else in.
  private func marks(
    ofFileOf listener: ServerConfiguration.Listener, since before: BindOptions
  ) -> [SecurityMark] {
    guard case .unix = listener.address, let mode = listener.options.mode else { return [] }
    let known = before.mode ?? 0
    let words = "may use \(listener.address) (mode 0\(String(mode, radix: 8)))"
    if mode & ~known & 0o002 != 0 {
      return [place.mark(.addressWidened, "server.bind", "all users of this machine \(words)")]
    }
    let (letsGroupIn, letAllIn) = (mode & 0o020 != 0, known & 0o002 != 0)
    let isOther = listener.options.group != nil && listener.options.group != before.group
    guard letsGroupIn, !letAllIn, known & 0o020 == 0 || isOther else { return [] }
    let group = listener.options.group.map { "the group \"\($0)\"" } ?? "the group of the process"
    return [place.mark(.addressWidened, "server.bind", "\(group) \(words)")]
  }

  /// A Unix socket takes orders of the user of the process and of root only, who could as well end it.
  private var adminMarks: [SecurityMark] {
    guard case .loopback(_, _, let token) = new.server.admin, let address = new.server.admin.bind else {
      return []
    }
    var words = "whoever has the token may give orders at \(address), also as another user of this machine"
    if case .loopback(_, _, let known) = old.server.admin {
      guard token != known else { return [] }
      words = "another token may give orders at \(address)"
    }
    return [place.mark(.addressWidened, "server.admin", words)]
  }

  private var tlsMarks: [SecurityMark] {
    guard let known = old.server.tls, let now = new.server.tls, known.minimumVersion == .tls13,
      now.minimumVersion == .tls12
    else { return [] }
    return [place.mark(.encryptionWeaker, "server.tls.minimum_version", "TLS 1.2 is accepted")]
  }

  // MARK: - Limits

  private var limitMarks: [SecurityMark] {
    let (known, now) = (old.server, new.server)
    func mark(_ key: String, _ text: String) -> SecurityMark {
      place.mark(.limitRemoved, "limits.\(key)", text)
    }
    var marks: [SecurityMark] = []
    if let count = known.connections, now.connections == nil {
      marks.append(mark("connections", "only the limit on open files bounds the connections (was \(count))"))
    }
    if known.perAddress.connections != .unlimited, now.perAddress.connections == .unlimited {
      marks.append(mark("per_ip.connections", "one address may take all places"))
    }
    if let rate = known.handshakes, now.handshakes == nil {
      marks.append(mark("handshakes", "clients may come in as fast as they like (was \(rate.text))"))
    }
    for (key, rate, isGone, text) in [
      (
        "per_ip.handshakes", known.perAddress.handshakes, now.perAddress.handshakes == nil,
        "one address may connect"
      ),
      (
        "per_user.handshakes", known.perUser.handshakes, now.perUser.handshakes == nil, "one user may connect"
      ),
      (
        "per_user.messages", known.perUser.messages, now.perUser.messages == nil, "one user may send messages"
      ),
    ] {
      if let rate, isGone { marks.append(mark(key, "\(text) as often as it likes (was \(rate.text))")) }
    }
    return marks
  }

  // MARK: - auth and layers

  /// What is said where Redis was used with TLS, and is not any more; nil where it is. Addresses that are not here may have TLS or not.
  private func withoutTLS(_ known: [RedisHost], _ now: [RedisHost]) -> String? {
    // One whose address has the same name is as it was.
    let plain = now.filter { host in
      host.isPlain && !(host.isStandIn && known.contains { $0.place == host.place && $0.tls == nil })
    }
    guard known != now, known.allSatisfy({ $0.tls != nil || $0.isStandIn }), !plain.isEmpty else {
      return nil
    }
    return plain.allSatisfy(\.isStandIn)
      ? "Redis may be used without TLS: its address is not here" : "Redis is used without TLS"
  }

  private var authMarks: [SecurityMark] {
    new.authenticators.flatMap { entry -> [SecurityMark] in
      guard let before = old.authenticators.first(where: { $0.name == entry.name }) else { return [] }
      return TokenMarks(name: entry.name, old: before.kind, new: entry.kind).all
    }
  }

  private var layerMarks: [SecurityMark] {
    new.channelLayers.flatMap { layer -> [SecurityMark] in
      guard case .redis(let now) = layer.backend,
        case .redis(let known)? = old.channelLayers.first(where: { $0.alias == layer.alias })?.backend
      else { return [] }
      var marks: [SecurityMark] = []
      let key = "channel_layers.\(layer.alias)"
      if !known.encryptionKeys.isEmpty, now.encryptionKeys.isEmpty {
        marks.append(place.mark(.encryptionOff, key, "messages are not encrypted in Redis any more"))
      }
      // One whose address is not here may have TLS.
      let tls = known.hosts.compactMap { $0.tls ?? ($0.isStandIn ? RedisHost.TLS() : nil) }
      if let text = withoutTLS(known.hosts, now.hosts) { marks.append(place.mark(.encryptionOff, key, text)) }
      let nowTLS = now.hosts.compactMap(\.tls)
      if tls.allSatisfy(\.isChecked), !tls.isEmpty, !nowTLS.allSatisfy(\.isChecked) {
        marks.append(place.mark(.encryptionWeaker, key, "the certificate of Redis is not checked any more"))
      }
      return marks
    }
  }
}

extension ServerConfiguration {
  fileprivate func listener(at address: BindAddress) -> Listener? {
    listeners.first { $0.address == address }
  }
}

extension ServerConfiguration.Listener {
  fileprivate var isSocket: Bool { if case .unix = address { true } else { false } }

  /// Whether everybody who connects to it is believed about where clients are: by a header of the PROXY protocol where there is no list,
  /// and at a Unix socket also where the list names those who use it.
  fileprivate func believesAll(by proxies: TrustedProxies) -> Bool {
    proxies.isEmpty ? options.proxyProtocol : isSocket && proxies.unix
  }
}

extension BindAddress {
  /// Whether other machines can connect to it.
  fileprivate var isOfOtherMachines: Bool {
    guard case .tcp(let host, _) = self else { return false }
    return host.lowercased() != "localhost" && IPAddress(host)?.isLoopback != true
  }
}

extension RedisHost {
  fileprivate var isPlain: Bool {
    switch place {
    case .tcp, .sentinel: tls == nil
    case .unix: false
    }
  }
}

extension RedisHost.TLS {
  fileprivate var isChecked: Bool { verifiesCertificate && verifiesHostname }
}
