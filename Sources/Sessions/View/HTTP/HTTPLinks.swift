import GatewayConfig
import Glibc
import NetworkFaults
import Synchronization
import Transport

/// The connections of one worker to the server of a view. Confined to its reactor.
final class HTTPLinks {
  let upstream: UpstreamConfiguration
  let reactor: Reactor
  private let shared: SharedLinks
  private let dialer: LinkDialer
  /// How many of them may wait whatever other workers keep: the worker's part of what may be in use.
  private let share: Int
  /// Those that wait for a request, the one that waited shortest last: the others may then end.
  private var kept: [HTTPLink] = []
  /// Nobody will send anything any more.
  private var isRetired = false

  init(_ shared: SharedLinks, of worker: WorkerSessions) {
    self.shared = shared
    upstream = shared.upstream
    reactor = worker.reactor
    share = max(1, shared.most / max(1, worker.process.threads))
    dialer = LinkDialer(shared, of: worker)
  }

  /// Whether it matters who ends a connection first: with TCP that side keeps the port busy for a minute, a Unix socket has none.
  var waitsForEnds: Bool { upstream.socket == nil }

  /// Sends a request.
  ///
  /// - Parameters:
  ///   - isFresh: whether a kept connection is not used.
  ///   - time: for the whole answer.
  ///   - completed: called once, later or at once, unless the link is abandoned before.
  /// - Returns: the connection that it is sent on.
  func ask(
    _ request: [UInt8], isFresh: Bool, within time: Duration, _ completed: @escaping HTTPLink.Completed
  ) -> HTTPLink {
    let due = reactor.now + time
    while !isFresh, let link = kept.last {
      guard isTrusted(link), link.isUsable else {
        link.end()
        continue
      }
      kept.removeLast()
      link.ask(request, until: due, completed)
      return link
    }
    shared.open.up()
    let link = HTTPLink(self, request, until: due, trustedAt: shared.renewals.count, completed)
    dialer.connect(link)
    return link
  }

  /// Whether its server was found to be the right one by the authorities of now.
  private func isTrusted(_ link: HTTPLink) -> Bool { link.trustedAt == shared.renewals.count }

  /// Whether the connection waits for another request. Over the whole process no more are kept than may be in use, and each worker's
  /// share: those of a worker that has had much to ask must not make another one connect for each question.
  func mayKeep(_ link: HTTPLink) -> Bool {
    guard !isRetired, isTrusted(link), upstream.idleTimeout > .zero,
      shared.open.count <= shared.most || kept.count < share
    else { return false }
    kept.append(link)
    return true
  }

  func ended(_ link: HTTPLink, isKept: Bool) {
    shared.open.down()
    if isKept { kept.removeAll { $0 === link } }
  }

  /// Nobody accepts connections where the name has led to.
  func forgetAddress() { dialer.forget() }

  /// Ends what is kept, and keeps nothing any more.
  func retire() {
    isRetired = true
    for link in kept { link.end() }
  }
}

/// What the connections of all workers to the server of one view have in common.
final class SharedLinks: Sendable {
  let upstream: UpstreamConfiguration
  /// How many may be in use at a time.
  let most: Int
  /// Of the whole process.
  let open = Atomic(0)
  private let context: Mutex<Result<TLSContext, TLSContext.Fault>?>
  /// How often the authorities have been read anew.
  let renewals = Atomic(0)

  init(_ upstream: UpstreamConfiguration, most: Int) {
    self.upstream = upstream
    self.most = most
    context = Mutex(upstream.clientContext)
  }

  /// Begins TLS; nil without it.
  var tls: Result<TLSContext, TLSContext.Fault>? { context.withLock(\.self) }

  /// Reads the file of authorities again, where there is one. Connections that were made before serve no further request.
  func renewTrust() {
    guard upstream.trust.authorities != nil else { return }
    let new = upstream.clientContext
    // The reload has read the file a moment ago. Where the process has no descriptor left for it now, what was read before goes on.
    if case .failure? = new { return }
    context.withLock { $0 = new }
    renewals.up()
  }
}

extension UpstreamConfiguration {
  /// Nil without TLS.
  fileprivate var clientContext: Result<TLSContext, TLSContext.Fault>? {
    scheme.isSecure ? trust.clientContext : nil
  }
}

extension UpstreamConfiguration.Trust {
  /// The certificates that are accepted of a server.
  fileprivate var clientContext: Result<TLSContext, TLSContext.Fault> {
    Result { () throws(TLSContext.Fault) in
      let trust: TLSContext.Trust =
        if !verifiesCertificate { .anybody } else { authorities.map { .file($0) } ?? .system }
      return try TLSContext(forClientsTrusting: trust)
    }
  }
}
