import Consumers
import GatewayConfig
import Transport
import WebSocketCore

/// One reactor's end of permessage-deflate: it chooses the parameters, and keeps what sessions share.
final class WorkerCompression {
  private let budget: MemoryBudget
  private let scratch = Scratch()
  /// For the messages of all clients without context, whatever their window.
  private let inflater: Inflater
  private var deflaters: [DeflaterKey: Deflater] = [:]
  /// Of a route that is kept with it, so that no other one can have its identity.
  private var shared: [SharedKey: (route: SessionRoute, compression: SessionCompression)] = [:]

  private struct DeflaterKey: Hashable {
    var windowBits: Int
    var level: Int
    var threshold: ByteCount
  }

  private struct SharedKey: Hashable {
    var route: ObjectIdentifier
    var deflater: ObjectIdentifier
  }

  init(budget: MemoryBudget) {
    self.budget = budget
    inflater = Inflater(windowBits: 15, context: .none, scratch: scratch)
  }

  /// Chooses from a client's offers.
  ///
  /// - Returns: nil if the route or the client does not want compression, or there is no memory for the only kind that the
  ///   route accepts.
  func agree(
    on offers: [ExtensionOffer], for route: SessionRoute
  ) -> (agreement: CompressionAgreement, compression: SessionCompression)? {
    guard let configuration = route.configuration.compression, !offers.isEmpty else { return nil }
    let kept = configuration.keepsContext ? ContextTakeover.kept : .none
    // Events of a group are the same bytes for all members, so they cannot refer to earlier messages of one member.
    let policy = CompressionPolicy(
      serverContext: route.groups == nil ? kept : .none,
      clientContext: configuration.keepsClientContext ? .kept : kept, windowBits: configuration.windowBits)
    guard var agreement = policy.choose(from: offers) else { return nil }
    if agreement.contextSize > 0 {
      if let reservation = MemoryShare(agreement.contextSize, of: budget) {
        return (agreement, compression(agreement, configuration, route, reservation))
      }
      // Sections 7.1.1.1 and 7.1.1.2: a server may always ask for this.
      agreement.serverContext = .none
      if configuration.keepsClientContext, agreement.clientContext == .kept {
        // The client may be one that ignores such a request.
        guard let reservation = MemoryShare(agreement.contextSize, of: budget) else { return nil }
        return (agreement, compression(agreement, configuration, route, reservation))
      }
      agreement.clientContext = .none
    }
    return (agreement, shared(sharedDeflater(agreement.serverWindowBits, configuration), route))
  }

  /// Goes on with what was agreed on in another process.
  ///
  /// The client may go on sending compressed messages where the route wants none any more.
  func resume(_ state: CompressionState, for route: SessionRoute) -> SessionCompression {
    let configuration = route.configuration.compression ?? CompressionConfiguration()
    let agreement = CompressionAgreement(
      serverContext: state.keepsServerContext ? .kept : .none,
      clientContext: state.keepsClientContext ? .kept : .none, serverWindowBits: state.serverWindowBits,
      clientWindowBits: state.clientWindowBits)
    // The memory was there before, and what a client may refer to cannot be given up.
    let share = MemoryShare(of: budget)
    if agreement.contextSize > 0 { share.resize(to: agreement.contextSize) }
    let compression = compression(agreement, configuration, route, share)
    compression.inflater.resume(behind: state.window)
    return compression
  }

  private func compression(
    _ agreement: CompressionAgreement, _ configuration: CompressionConfiguration, _ route: SessionRoute,
    _ reservation: MemoryShare
  ) -> SessionCompression {
    let shared = shared(sharedDeflater(agreement.serverWindowBits, configuration), route)
    let deflater =
      switch agreement.serverContext {
      case .kept: makeDeflater(agreement.serverWindowBits, configuration, .kept)
      case .none: shared.deflater
      }
    let inflater =
      switch agreement.clientContext {
      case .kept: Inflater(windowBits: agreement.clientWindowBits, context: .kept, scratch: scratch)
      case .none: shared.inflater
      }
    return SessionCompression(
      inflater: inflater, deflater: deflater, renderer: shared.renderer,
      numberedRenderer: shared.numberedRenderer, reservation: reservation)
  }

  private func shared(_ deflater: Deflater, _ route: SessionRoute) -> SessionCompression {
    let key = SharedKey(route: ObjectIdentifier(route), deflater: ObjectIdentifier(deflater))
    if let known = shared[key] { return known.compression }
    let renderer = route.groups.map { _ in DeflatingRenderer(route.consumer, deflater) }
    let numberedRenderer = route.numbered.map { DeflatingRenderer($0, deflater) }
    let compression = SessionCompression(
      inflater: inflater, deflater: deflater, renderer: renderer, numberedRenderer: numberedRenderer)
    shared[key] = (route, compression)
    return compression
  }

  /// What a session keeps of its agreement when its route was exchanged: all but the renderers.
  func renewed(_ compression: SessionCompression, for route: SessionRoute) -> SessionCompression {
    guard compression.renderer != nil || compression.numberedRenderer != nil else { return compression }
    let shared = shared(compression.deflater, route)
    guard let reservation = compression.reservation else { return shared }
    return SessionCompression(
      inflater: compression.inflater, deflater: compression.deflater, renderer: shared.renderer,
      numberedRenderer: shared.numberedRenderer, reservation: reservation)
  }

  /// What is served was exchanged: sessions of the routes before are about to leave them.
  func forgetRoutes() {
    shared = [:]
  }

  /// A session of a route before has come late.
  func forgetRoutes(except routes: LiveRoutes) {
    shared = shared.filter { routes.owns($0.value.route) }
  }

  private func sharedDeflater(_ windowBits: Int, _ configuration: CompressionConfiguration) -> Deflater {
    let key = DeflaterKey(
      windowBits: windowBits, level: configuration.level, threshold: configuration.threshold)
    if let deflater = deflaters[key] { return deflater }
    let deflater = makeDeflater(windowBits, configuration, .none)
    deflaters[key] = deflater
    return deflater
  }

  private func makeDeflater(
    _ windowBits: Int, _ configuration: CompressionConfiguration, _ context: ContextTakeover
  ) -> Deflater {
    Deflater(
      windowBits: windowBits, level: configuration.level, threshold: configuration.threshold.bytes,
      context: context, scratch: scratch)
  }
}

extension CompressionAgreement {
  /// The memory that a session with this agreement keeps between messages, in bytes.
  var contextSize: Int {
    (serverContext == .kept ? Deflater.contextSize(windowBits: serverWindowBits) : 0)
      + (clientContext == .kept ? Inflater.contextSize(windowBits: clientWindowBits) : 0)
  }
}
