package import GatewayConfig
package import NIOCore
import NIOPosix
import NIOSSL
import NetworkFaults

/// Opens connections to one server of a layer.
package struct RedisConnector: Sendable {
  package let host: RedisHost
  package let eventLoop: any EventLoop

  package init(host: RedisHost, eventLoop: any EventLoop) {
    self.host = host
    self.eventLoop = eventLoop
  }

  /// Connects, logs in, and selects the database. With sentinels, it connects to the server that they name as the master now.
  package func connect() async throws(RedisFailure) -> RedisConnection {
    switch host.place {
    case .tcp(let name, let port):
      return try await signIn(
        open(.tcp(name, port), tls: host.tls), host.credentials, database: host.database)
    case .unix(let path):
      return try await signIn(open(.unix(path), tls: nil), host.credentials, database: host.database)
    case .sentinel(let master, let sentinels):
      return try await connect(toMaster: master, sentinels)
    }
  }

  // MARK: - Sentinels

  private func connect(
    toMaster name: String, _ sentinels: RedisHost.Sentinels
  ) async throws(RedisFailure) -> RedisConnection {
    var last = RedisFailure.cannotConnect("no sentinel knows a master \"\(name)\"")
    for sentinel in sentinels.addresses {
      do throws(RedisFailure) {
        let master = try await ask(sentinel, of: sentinels, forMaster: name)
        let connection = try await Self.naming("the master \"\(name)\" at \(master)") {
          () async throws(RedisFailure) in
          try await signIn(
            open(.tcp(master.host, master.port), tls: host.tls), host.credentials, database: host.database)
        }
        return try await connection.orClosed { connection throws(RedisFailure) in
          // Directly after a fail-over, a sentinel may still name the old master.
          guard try await isMaster(connection) else {
            throw .cannotConnect("\(master) is not the master \"\(name)\" any more")
          }
        }
      } catch {
        last = error
      }
    }
    throw last
  }

  /// - Returns: also true if the user may not ask. A replica refuses the first write in that case.
  private func isMaster(_ connection: RedisConnection) async throws(RedisFailure) -> Bool {
    do {
      guard case .array(let role) = try await connection.send(RESPCommand("ROLE")) else { return false }
      return role.first?.text == "master"
    } catch .refused(let refusal) where !refusal.endsConnection {
      do {
        let text = try await connection.send(RESPCommand("INFO", "replication")).text ?? ""
        return text.contains("role:master")
      } catch .refused(let refusal) where !refusal.endsConnection {
        return true
      }
    }
  }

  private func ask(
    _ sentinel: RedisHost.Address, of sentinels: RedisHost.Sentinels, forMaster name: String
  ) async throws(RedisFailure) -> RedisHost.Address {
    let connection = try await Self.naming("the sentinel at \(sentinel)") { () async throws(RedisFailure) in
      try await signIn(
        open(
          .tcp(sentinel.host, sentinel.port), tls: sentinels.tls,
          within: sentinels.connectTimeout ?? host.connectTimeout),
        sentinels.credentials, database: 0)
    }
    defer { connection.close() }
    let reply = try await connection.send(RESPCommand("SENTINEL", "get-master-addr-by-name", .init(name)))
    guard case .array(let parts) = reply, parts.count == 2, case .bulkString(let host) = parts[0],
      case .bulkString(let port) = parts[1], let number = Int(String(decoding: port, as: UTF8.self)),
      (1...65535).contains(number)
    else { throw .cannotConnect("the sentinel at \(sentinel) does not know a master \"\(name)\"") }
    return RedisHost.Address(host: String(decoding: host, as: UTF8.self), port: number)
  }

  /// Adds the server to a failure. The configuration has no address of a master, and may have several sentinels.
  private static func naming<Result>(
    _ server: String, _ body: () async throws(RedisFailure) -> Result
  ) async throws(RedisFailure) -> Result {
    do throws(RedisFailure) {
      return try await body()
    } catch {
      switch error {
      case .refused(let refusal): throw .refused(refusal.of(server))
      case .cannotConnect(let reason): throw .cannotConnect("\(server): \(reason)")
      case .notConnected, .disconnected, .timeout, .malformed, .unexpectedReply:
        throw .cannotConnect("\(server): \(error)")
      }
    }
  }

  /// Whether the server is a node of a cluster; false if the user may not ask.
  package func isCluster() async throws(RedisFailure) -> Bool {
    let connection = try await connect()
    defer { connection.close() }
    do {
      // Every user may send this command, whatever the ACL says. Servers before Redis 6 do not know it.
      guard case .array(let facts) = try await connection.send(RESPCommand("HELLO", "2")) else {
        return false
      }
      let words = facts.map(\.text)
      return zip(words, words.dropFirst()).contains { $0 == "mode" && $1 == "cluster" }
    } catch .refused(let refusal) where !refusal.endsConnection {
      return false
    }
  }

  // MARK: - One server

  private enum Target {
    case tcp(String, Int)
    case unix(String)
  }

  /// - Parameter time: the most time for connecting; nil for the host's `connectTimeout`.
  private func open(
    _ target: Target, tls: RedisHost.TLS?, within time: Duration? = nil
  ) async throws(RedisFailure) -> RedisConnection {
    do {
      let context = try tls.map(Self.context)
      let serverName: String? =
        if case .tcp(let name, _) = target, !name.isNetworkAddress { name } else { nil }
      let bootstrap = ClientBootstrap(group: eventLoop)
        .connectTimeout((time ?? host.connectTimeout).asTimeAmount)
        .channelOption(.tcpOption(.tcp_nodelay), value: 1)
        .channelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            if let context {
              try channel.pipeline.syncOperations.addHandler(
                NIOSSLClientHandler(context: context, serverHostname: serverName))
            }
            try channel.pipeline.syncOperations.addHandler(RedisConnectionHandler(usesTLS: tls != nil))
          }
        }
      let opening =
        switch target {
        case .tcp(let name, let port): bootstrap.probingWhenSilent().connect(host: name, port: port)
        case .unix(let path):
          bootstrap.channelOption(.tcpOption(.tcp_nodelay), value: 0).connect(unixDomainSocketPath: path)
        }
      return try await Self.wait(for: opening)
    } catch {
      throw RedisFailure(connecting: error)
    }
  }

  private static func context(_ tls: RedisHost.TLS) throws -> NIOSSLContext {
    var configuration = TLSConfiguration.makeClientConfiguration()
    if !tls.verifiesCertificate {
      configuration.certificateVerification = .none
    } else if !tls.verifiesHostname {
      configuration.certificateVerification = .noHostnameVerification
    }
    if let file = tls.trustedCertificates {
      configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(contents(of: file)))
    }
    if let file = tls.certificate {
      configuration.certificateChain = try NIOSSLCertificate.fromPEMBytes(contents(of: file)).map {
        .certificate($0)
      }
    }
    if let file = tls.privateKey ?? tls.certificate {
      configuration.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: contents(of: file), format: .pem))
    }
    return try NIOSSLContext(configuration: configuration)
  }

  /// Reads a file in the same way as the configuration's reader, which does not wait for a FIFO.
  private static func contents(of file: String) throws(RedisFailure) -> [UInt8] {
    do throws(FileFault) {
      return try Disk().contents(of: file, as: .certificate).get()
    } catch {
      throw .cannotConnect("\"\(file)\" cannot be read: \(error.message)")
    }
  }

  /// Waits until the channel is open and its TLS handshake is completed, or the task is cancelled. So a TLS failure is reported here,
  /// before the first request.
  private static func wait(for opening: EventLoopFuture<any Channel>) async throws -> RedisConnection {
    let promise = opening.eventLoop.makePromise(of: RedisConnection.self)
    opening.flatMap { channel in
      // The channel was connected in this turn of the event loop, so nothing can have closed it yet.
      channel.eventLoop.makeCompletedFuture {
        let handler = try channel.pipeline.syncOperations.handler(type: RedisConnectionHandler.self)
        return handler.whenReady(channel, within: RedisConnection.patience).map { [end = handler.ending] in
          RedisConnection(channel: channel, end: end)
        }
      }.flatMap { $0 }
    }.cascade(to: promise)
    // The channel may open after the caller has stopped waiting.
    promise.futureResult.whenFailure { _ in opening.whenSuccess { $0.close(promise: nil) } }
    return try await withTaskCancellationHandler {
      try await promise.futureResult.get()
    } onCancel: {
      promise.fail(CancellationError())
    }
  }

  private func signIn(
    _ connection: RedisConnection, _ credentials: RedisHost.Credentials, database: Int
  ) async throws(RedisFailure) -> RedisConnection {
    try await connection.orClosed { connection throws(RedisFailure) in
      if let password = credentials.password {
        let arguments = [credentials.username.map { RESPArgument($0) }, RESPArgument(password.bytes)]
          .compactMap(\.self)
        _ = try await connection.send(RESPCommand("AUTH", arguments))
      }
      if database != 0 { _ = try await connection.send(RESPCommand("SELECT", .init(database))) }
      _ = try await connection.send(RESPCommand("PING"))
    }
  }
}

extension RedisHost.Address: CustomStringConvertible {
  package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

extension RedisConnection {
  /// Prepares the connection for use. It is closed if that fails, or if the task is cancelled.
  fileprivate func orClosed(
    _ prepare: (RedisConnection) async throws(RedisFailure) -> Void
  ) async throws(RedisFailure) -> RedisConnection {
    do {
      try await withTaskCancellationHandler {
        try await prepare(self)
      } onCancel: {
        close()
      }
      return self
    } catch {
      close()
      throw error as? RedisFailure ?? .disconnected
    }
  }
}

extension Duration {
  var asTimeAmount: TimeAmount {
    let (seconds, attoseconds) = components
    return .nanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
  }
}

extension String {
  /// Whether this is an IP address. Server name indication allows only names (RFC 6066 section 3).
  fileprivate var isNetworkAddress: Bool {
    (try? SocketAddress(ipAddress: self, port: 0)) != nil
  }
}
