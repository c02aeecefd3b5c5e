package import GatewayConfig
package import NIOCore
import NIOPosix
import NIOSSL
import NetworkFaults

/// Opens connections to one server of a layer.
package struct RedisConnector: Sendable {
  private let access: RedisAccess
  package let eventLoop: any EventLoop

  package init(_ access: RedisAccess, eventLoop: any EventLoop) {
    self.access = access
    self.eventLoop = eventLoop
  }

  package init(host: RedisHost, eventLoop: any EventLoop) {
    self.init(RedisAccess(host), eventLoop: eventLoop)
  }

  package var host: RedisHost { access.host }

  /// Connects, logs in, and selects the database. With sentinels, it connects to the server that they name as the master now.
  package func connect() async throws(RedisFailure) -> RedisConnection {
    switch host.place {
    case .tcp(let name, let port):
      // Server name indication allows only names (RFC 6066 section 3).
      let isAddress = (try? SocketAddress(ipAddress: name, port: port)) != nil
      return try await open(serverName: isAddress ? nil : name) {
        $0.probingWhenSilent().connect(host: name, port: port)
      }
    case .unix(let path):
      return try await open(serverName: nil) {
        $0.channelOption(.tcpOption(.tcp_nodelay), value: 0).connect(unixDomainSocketPath: path)
      }
    case .sentinel(let master, let sentinels): return try await connect(toMaster: master, sentinels)
    }
  }

  // MARK: - Sentinels

  private func connect(
    toMaster name: String, _ sentinels: RedisHost.Sentinels
  ) async throws(RedisFailure) -> RedisConnection {
    var last = RedisFailure.cannotConnect("no sentinel knows a master \"\(name)\"")
    for sentinel in sentinels.addresses {
      do throws(RedisFailure) {
        let address = try await ask(sentinel, of: sentinels, forMaster: name)
        var master = host
        master.place = .tcp(host: address.host, port: address.port)
        let connection = try await connect(to: master, named: "the master \"\(name)\" at \(address)")
        return try await connection.orClosed { connection throws(RedisFailure) in
          // Directly after a fail-over, a sentinel may still name the old master.
          guard try await isMaster(connection) else {
            throw .cannotConnect("\(address) is not the master \"\(name)\" any more")
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
    if let role = try await connection.answer(to: RESPCommand("ROLE")) {
      guard case .array(let parts) = role else { return false }
      return parts.first?.text == "master"
    }
    guard let info = try await connection.answer(to: RESPCommand("INFO", "replication")) else { return true }
    return info.text?.contains("role:master") ?? false
  }

  private func ask(
    _ sentinel: RedisHost.Address, of sentinels: RedisHost.Sentinels, forMaster name: String
  ) async throws(RedisFailure) -> RedisHost.Address {
    var place = RedisHost(.tcp(host: sentinel.host, port: sentinel.port))
    (place.credentials, place.tls) = (sentinels.credentials, sentinels.tls)
    place.connectTimeout = sentinels.connectTimeout ?? host.connectTimeout
    let connection = try await connect(to: place, named: "the sentinel at \(sentinel)")
    defer { connection.close() }
    let reply = try await connection.send(RESPCommand("SENTINEL", "get-master-addr-by-name", .init(name)))
    guard case .array(let parts) = reply, parts.count == 2, case .bulkString(let host) = parts[0],
      case .bulkString(let port) = parts[1], let number = Int(String(decoding: port, as: UTF8.self)),
      (1...65535).contains(number)
    else { throw .cannotConnect("the sentinel at \(sentinel) does not know a master \"\(name)\"") }
    return RedisHost.Address(host: String(decoding: host, as: UTF8.self), port: number)
  }

  /// Adds the server to a failure. The configuration has no address of a master, and may have several sentinels.
  private func connect(
    to host: RedisHost, named server: String
  ) async throws(RedisFailure) -> RedisConnection {
    do throws(RedisFailure) {
      return try await RedisConnector(host: host, eventLoop: eventLoop).connect()
    } catch {
      switch error {
      case .refused(var refusal):
        refusal.add(server)
        throw .refused(refusal)
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
    // Every user may send this command, whatever the ACL says. Servers before Redis 6 do not know it.
    guard case .array(let facts) = try await connection.answer(to: RESPCommand("HELLO", "2")) else {
      return false
    }
    let words = facts.map(\.text)
    return zip(words, words.dropFirst()).contains { $0 == "mode" && $1 == "cluster" }
  }

  // MARK: - One server

  /// - Parameters:
  ///   - serverName: the name to be sent with TLS; nil for none.
  ///   - connect: connects the channel.
  private func open(
    serverName: String?, _ connect: (ClientBootstrap) -> EventLoopFuture<any Channel>
  ) async throws(RedisFailure) -> RedisConnection {
    let connection: RedisConnection
    do {
      let context = try host.tls.map(Self.context)
      let bootstrap = ClientBootstrap(group: eventLoop)
        .connectTimeout(TimeAmount(host.connectTimeout))
        .channelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            if let context {
              try channel.pipeline.syncOperations.addHandler(
                NIOSSLClientHandler(context: context, serverHostname: serverName))
            }
            try channel.pipeline.syncOperations.addHandler(RedisConnectionHandler(usesTLS: context != nil))
          }
        }
      connection = try await Self.wait(for: connect(bootstrap))
    } catch {
      throw RedisFailure(connecting: error)
    }
    return try await connection.orClosed(signIn)
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
      let chain = try NIOSSLCertificate.fromPEMBytes(contents(of: file))
      configuration.certificateChain = chain.map { .certificate($0) }
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
  static func wait(for opening: EventLoopFuture<any Channel>) async throws -> RedisConnection {
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

  private func signIn(_ connection: RedisConnection) async throws(RedisFailure) {
    if let password = host.credentials.password {
      let name = host.credentials.username.map { [RESPArgument($0)] } ?? []
      _ = try await connection.send(RESPCommand("AUTH", name + [.init(password.bytes)]))
    }
    if host.database != 0 { _ = try await connection.send(RESPCommand("SELECT", .init(host.database))) }
    _ = try await connection.send(RESPCommand("PING"))
  }
}

extension RedisConnection {
  /// - Returns: nil if the user may not ask, or the server does not know the command.
  fileprivate func answer(to command: RESPCommand) async throws(RedisFailure) -> RESPValue? {
    do throws(RedisFailure) {
      return try await send(command)
    } catch {
      guard !error.endsConnection else { throw error }
      return nil
    }
  }

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
