import GatewayConfig
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import NetworkFaults
import Sessions
import Synchronization
import Transport

/// The certificates for clients; and TLS with upstreams: joins each connection to one end of a socket pair, whose other end is a
/// plain connection for a worker.
final class TLSService: Sendable {
  /// For connections with upstreams; nil until there can be some.
  private let group = Mutex<MultiThreadedEventLoopGroup?>(nil)
  private let certificates = Mutex<TLSContext?>(nil)
  private let trusted = Mutex<[UpstreamConfiguration.Trust: NIOSSLContext]>([:])
  private let open = Mutex(OpenRelays())

  private struct OpenRelays {
    /// Clients whose bytes a worker passes on to the HTTP service.
    var clients = 0
    /// Connections with upstreams. A stop does not wait for one that is not reached yet.
    var channels: [ObjectIdentifier: any Channel] = [:]
    var isAbandoned = false
    /// Called once, when no connection is left; nil while more may come.
    var stopped: (@Sendable () -> Void)?

    var isEmpty: Bool { clients == 0 && channels.isEmpty }
  }

  private static let reads = AdaptiveRecvByteBufferAllocator(minimum: 1024, initial: 2048, maximum: 32768)
  /// A closing connection whose peer accepts nothing for this long is dropped.
  private static let patience = TimeAmount.seconds(30)
  /// A worker that accepts nothing for this long gets no more of what its upstream sent before it left.
  private static let workerPatience = TimeAmount.seconds(5)
  /// How often peers are checked.
  private static let look = TimeAmount.seconds(8)

  /// There can be connections with upstreams from now on.
  ///
  /// - Parameter threads: for them.
  func allowUpstreams(threads: Int) {
    let new = group.withLock { group -> MultiThreadedEventLoopGroup? in
      guard group == nil else { return nil }
      group = MultiThreadedEventLoopGroup(numberOfThreads: threads)
      return group
    }
    guard let new else { return }
    for loop in new.makeIterator() {
      loop.scheduleRepeatedTask(initialDelay: Self.look, delay: Self.look) { [weak self] _ in
        self?.checkPeers(on: loop)
      }
    }
  }

  /// The reactor's side sees only a socket pair, and cannot check the peer.
  private func checkPeers(on loop: any EventLoop) {
    let now = MonotonicTime.now
    for channel in open.withLock({ Array($0.channels.values) }) where channel.eventLoop === loop {
      try? channel.pipeline.syncOperations.handler(type: RelayEnd.self).checkPeer(at: now)
    }
  }

  // MARK: - Clients

  /// Uses these certificates for new clients; none where the addresses are without TLS.
  func use(_ context: TLSContext?) {
    certificates.withLock { $0 = context }
  }

  /// For new clients; nil where the addresses are without TLS.
  var context: TLSContext? { certificates.withLock(\.self) }

  /// A worker passes the bytes of a client on to the HTTP service.
  func relayBegan() {
    change { $0.clients += 1 }
  }

  func relayEnded() {
    change { $0.clients -= 1 }
  }

  /// Open relays with clients, including those whose service's end is closed while the last bytes are on the way.
  var relayCount: Int { open.withLock { $0.clients } }

  /// Open relays with upstreams.
  var upstreamCount: Int { open.withLock(\.channels.count) }

  // MARK: - Upstreams

  /// Connects to an upstream with TLS.
  ///
  /// - Parameter done: called once, on any thread, when the handshake is over. The callee owns the descriptor.
  func connect(
    to upstream: UpstreamConfiguration, _ done: @escaping @Sendable (Result<Int32, any Error>) -> Void
  ) {
    guard let loop = group.withLock({ $0?.next() }) else {
      preconditionFailure("a route with a wss upstream has threads for it")
    }
    loop.execute { [self] in
      do {
        try connect(to: upstream, on: loop, done)
      } catch {
        done(.failure(error))
      }
    }
  }

  private func connect(
    to upstream: UpstreamConfiguration, on loop: any EventLoop,
    _ done: @escaping @Sendable (Result<Int32, any Error>) -> Void
  ) throws {
    let context = try context(trusting: upstream.trust)
    let (near, far) = try Descriptor.socketPair()
    let outcome = loop.makePromise(of: Void.self)
    outcome.futureResult.whenComplete { result in
      if case .failure = result { _ = Descriptor(adopting: far) }
      done(result.map { far })
    }
    let timeout = TimeAmount(upstream.connectTimeout)
    let deadline = loop.scheduleTask(in: timeout) { outcome.fail(ChannelError.connectTimeout(timeout)) }
    let relay = makeRelay(on: loop) { result in
      deadline.cancel()
      outcome.completeWith(result.mapError { PeerFault($0, of: .server) })
    }
    let connecting = bootstrap(on: loop).probingWhenSilent().connectTimeout(timeout)
      .connect(host: upstream.host, port: upstream.port)
    join(connecting, to: near, by: relay, on: loop) {
      try NIOSSLClientHandler(context: context, serverHostname: upstream.serverName)
    }
    // The time is over, so the result would not be used.
    outcome.futureResult.whenFailure { _ in relay.value.abandon() }
  }

  /// What files say of authorities is read again for the next connections.
  func renewTrust() {
    trusted.withLock { trusted in trusted = trusted.filter { $0.key.authorities == nil } }
  }

  private func context(trusting trust: UpstreamConfiguration.Trust) throws -> NIOSSLContext {
    if let known = trusted.withLock({ $0[trust] }) { return known }
    let context = try NIOSSLContext(configuration: trust.clientConfiguration)
    trusted.withLock { $0[trust] = context }
    return context
  }

  // MARK: - Channels

  private func makeRelay(
    on loop: any EventLoop, _ completed: @escaping (Result<Void, any Error>) -> Void
  ) -> NIOLoopBound<TLSRelay> {
    NIOLoopBound(TLSRelay(on: loop, completed: completed), eventLoop: loop)
  }

  /// Neither channel reads by itself: the relay decides when, and reads only a little at a time. NIO's TLS handler keeps the
  /// largest buffer that it ever needed for one read.
  private func bootstrap(on loop: any EventLoop) -> ClientBootstrap {
    ClientBootstrap(group: loop)
      .channelOption(.autoRead, value: false)
      .channelOption(.maxMessagesPerRead, value: 1)
      .channelOption(.recvAllocator, value: Self.reads)
      .channelOption(.allowRemoteHalfClosure, value: true)
  }

  private func join(
    _ secure: EventLoopFuture<any Channel>, to plain: Int32, by relay: NIOLoopBound<TLSRelay>,
    on loop: any EventLoop, _ makeHandler: @escaping @Sendable () throws -> NIOSSLHandler
  ) {
    let joined = bootstrap(on: loop).withConnectedSocket(plain).flatMapThrowing { channel in
      try channel.pipeline.syncOperations.addHandlers(
        LingeringCloseHandler(patience: .fromFullClose(Self.workerPatience)),
        RelayEnd(.plain, of: relay.value))
    }
    joined.and(secure).flatMapThrowing { [self] _, channel in
      keep(channel)
      // From here on the relay is notified of its end.
      try channel.pipeline.syncOperations.addHandler(
        LingeringCloseHandler(patience: .fromClose(Self.patience)))
      try channel.pipeline.syncOperations.addHandlers(try makeHandler(), RelayEnd(.secure, of: relay.value))
    }.whenFailure { error in
      relay.value.fail(error)
      secure.whenSuccess { $0.close(promise: nil) }
    }
  }
}

// MARK: - What is open

extension TLSService {
  /// Calls back when the last relay has ended. After this, no client's connection begins, and no upstream is needed.
  func stop(_ stopped: @escaping @Sendable () -> Void) {
    change { $0.stopped = stopped }
  }

  /// Closes all connections at once, including those that still begin.
  func abandon() {
    let channels = open.withLock { open in
      open.isAbandoned = true
      return Array(open.channels.values)
    }
    for channel in channels { channel.abandon() }
  }

  /// Ends the event loops.
  func shutDown() async throws {
    try await group.withLock(\.self)?.shutdownGracefully()
  }

  private func keep(_ channel: any Channel) {
    let isAbandoned = open.withLock { open in
      open.channels[ObjectIdentifier(channel)] = channel
      return open.isAbandoned
    }
    if isAbandoned { channel.eventLoop.execute { channel.abandon() } }
    channel.closeFuture.whenComplete { [self] _ in change { $0.channels[ObjectIdentifier(channel)] = nil } }
  }

  private func change(_ change: (inout OpenRelays) -> Void) {
    let stopped = open.withLock { open -> (@Sendable () -> Void)? in
      change(&open)
      guard open.isEmpty else { return nil }
      defer { open.stopped = nil }
      return open.stopped
    }
    stopped?()
  }
}
