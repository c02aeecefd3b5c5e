extension ExchangedSetting {
  /// Every setting outside of the routes. A test compares it with the keys of the file.
  static let all =
    [ExchangedSetting("asgi_application", .reload, { $0.served.name }, { $0 })] + server + limits + memory
    + stopping

  private static let server = [
    ExchangedSetting("server.bind", .reload, { $0.server.listeners(of: \.bind) }, shown),
    ExchangedSetting(
      "server.tls", .reload, { $0.server.tls.map { $0.certificates.map(\.text) } },
      { $0?.joined(separator: "; ") ?? "none" }),
    ExchangedSetting("server.tls.bind", .reload, { $0.server.listeners(of: \.tls?.bind) }, shown),
    ExchangedSetting(
      "server.tls.minimum_version", .reload, { $0.server.tls?.minimumVersion },
      { $0?.rawValue ?? "none" }),
    ExchangedSetting(
      "server.trusted_proxies", .reload, { $0.server.trustedProxies },
      { proxies in
        let all = proxies.networks.map { "\($0)" } + (proxies.unix ? ["unix"] : [])
        return all.isEmpty ? "none" : all.joined(separator: ", ")
      }),
    ExchangedSetting("server.refusals", .reload, { $0.server.refusals }, \.rawValue),
    ExchangedSetting("server.reuse_port", .upgrade, { $0.server.reusesPort }, { "\($0)" }),
    ExchangedSetting("server.admin", .upgrade, hidden: "another token", { $0.server.admin }, text),
    ExchangedSetting(
      "server.threads", .upgrade, { $0.server.threads }, { $0.map(String.init) ?? "one for each processor" }),
  ]

  private static let limits = [
    ExchangedSetting(
      "limits.connections", .reload, { $0.server.connections },
      { $0.map(String.init) ?? "what the limit on open files allows" }),
    ExchangedSetting(
      "limits.per_ip.connections", .reload, { $0.server.perAddress.connections },
      { connections in
        switch connections {
        case .half: "half of limits.connections"
        case .unlimited: "none"
        case .most(let count): "\(count)"
        }
      }),
    ExchangedSetting("limits.per_ip.handshakes", .reload, { $0.server.perAddress.handshakes }, text),
    ExchangedSetting("limits.per_user.messages", .reload, { $0.server.perUser.messages }, text),
    ExchangedSetting("limits.per_user.handshakes", .reload, { $0.server.perUser.handshakes }, text),
    ExchangedSetting("limits.handshakes", .reload, { $0.server.handshakes }, text),
    ExchangedSetting("limits.handshake", .reload, { $0.server.handshake }, \.written),
    ExchangedSetting("limits.keep_alive", .reload, { $0.server.keepAlive }, \.written),
  ]

  /// Budgets that reactors and threads have divided among themselves.
  private static let memory = [
    memory("send_memory", "a quarter of the process's memory") { $0.sendMemory },
    memory("receive_memory", "an eighth of the process's memory") { $0.receiveMemory },
    memory("body_memory", "an eighth of the process's memory") { $0.bodyMemory },
    memory("history_memory", "") { $0.historyMemory },
    memory("compression_memory", "") { $0.compressionMemory },
  ]

  private static func memory(
    _ key: String, _ standard: String, _ size: @escaping @Sendable (ServerConfiguration) -> ByteCount?
  ) -> ExchangedSetting {
    ExchangedSetting("limits.\(key)", .upgrade, { size($0.server) }, { $0.map { "\($0)" } ?? standard })
  }

  private static let stopping = [
    ExchangedSetting("shutdown.delay", .reload, { $0.shutdown.delay }, \.written),
    ExchangedSetting("shutdown.back", .reload, Back.init) { $0.next.text },
    ExchangedSetting("shutdown.grace", .reload, { $0.shutdown.grace }, \.written),
    ExchangedSetting("shutdown.code", .reload, { $0.shutdown.code }, { "\($0)" }),
    ExchangedSetting("logging.level", .reload, { $0.logging.level }, \.rawValue),
    ExchangedSetting("logging.format", .upgrade, { $0.logging.format }, \.rawValue),
    ExchangedSetting("logging.sessions", .reload, { $0.logging.sessions }, { "\($0)" }),
  ]

  /// When clients come back. Where neither file says it, it differs only with `server.reuse_port`, which is compared itself.
  private struct Back: Equatable {
    var isWritten: Bool
    var next: NextListener

    init(_ configuration: Configuration) {
      (isWritten, next) = (configuration.shutdown.back != nil, configuration.nextListener)
    }

    static func == (one: Back, other: Back) -> Bool {
      one.next == other.next || !one.isWritten && !other.isWritten
    }
  }

  private static let text: @Sendable (Rate?) -> String = { $0?.text ?? "none" }

  /// Commands that are connected wait for answers there.
  private static func text(_ admin: AdminAddress) -> String {
    switch admin {
    case .standard: "a socket named after the file"
    case .nowhere: "false"
    case .unix, .loopback: admin.bind.map { "\($0)" } ?? ""
    }
  }
}

extension NextListener {
  fileprivate var text: String {
    switch self {
    case .now: "now"
    case .after(let time): time.written
    }
  }
}

extension ServerConfiguration {
  /// An address with its options.
  fileprivate struct Address: Equatable {
    var address: BindAddress
    var options: BindOptions?
  }

  /// - Parameter addresses: `bind`, or that of TLS; none where nothing is written.
  fileprivate func listeners(of addresses: KeyPath<ServerConfiguration, [BindAddress]>) -> [Address] {
    self[keyPath: addresses].map { Address(address: $0, options: bindOptions[$0]) }
  }

  fileprivate func listeners(of addresses: KeyPath<ServerConfiguration, [BindAddress]?>) -> [Address] {
    (self[keyPath: addresses] ?? []).map { Address(address: $0, options: bindOptions[$0]) }
  }
}

private func shown(_ addresses: [ServerConfiguration.Address]) -> String {
  let texts = addresses.map { address in
    let options = address.options.map { options in
      [
        options.proxyProtocol ? "proxy_protocol" : nil, options.mode.map { "mode 0\(String($0, radix: 8))" },
        options.group.map { "group \($0)" },
      ].compactMap(\.self)
    }
    let words = options ?? []
    return words.isEmpty ? "\(address.address)" : "\(address.address) (\(words.joined(separator: ", ")))"
  }
  return texts.isEmpty ? "none" : texts.joined(separator: ", ")
}
