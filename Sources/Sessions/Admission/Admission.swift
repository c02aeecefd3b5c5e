import Bytes
import ChannelLayers
import Consumers
import GatewayConfig
import Routing
import WebSocketCore

/// The way from a request head to a session or an event stream: which step comes next, and what its outcome means.
///
/// A value without a connection, a reactor or a clock. Whoever holds it carries the steps out and reports what became of them.
/// The steps of an opening, and their order, are in `proceed`. A new step (say, a question to a view before the client is
/// accepted) is a case of `Step`, of `Event` and of `State`, and a line there.
struct Admission {
  /// What the head of a request leads to.
  enum Head {
    /// It asks for a session or an event stream, and passed every check.
    case opening(Opening)
    // Apart, since most clients are let in, and the value is passed on by each step.
    indirect case refused(HandshakeRefusal)
    /// It is a plain request.
    case http
    /// It is a health check, and nothing follows it; the whole answer.
    case health(answer: [UInt8])
  }

  enum Event {
    /// The request head is there. A connection that is refused without one, for example because of its PROXY protocol header,
    /// is reported in the same way.
    case head(Head)
    case identified(Authentication)
    case subscribed(Subscription)
    case dialled(Result<Void, HandshakeRefusal>)
    /// The view has let the client in, or has not.
    case viewed(Result<ViewAnswer, HandshakeRefusal>)
    /// The time for the step under way is over.
    case timedOut
    /// The gateway stops.
    ///
    /// - Parameters:
    ///   - hasBegun: whether a part of the request has arrived.
    ///   - retry: when the client is to come back.
    case stopped(hasBegun: Bool, retry: Duration)
    /// An operator ends some sessions.
    case disconnected(SessionTarget)
  }

  /// What is to be done next.
  enum Step {
    /// Authenticate the client.
    indirect case ask(Credentials, RouteAuthenticator)
    /// Begin to bring the events of these groups to this reactor, from this layer.
    case subscribe([String], layer: any LayerBackend)
    /// Connect to the upstream of the route with this name, and make the handshake with it.
    indirect case dial(SessionOpening.UpstreamRequest, route: String)
    /// Ask the view of the route about the client, which is in its groups from now on.
    case askView(Opening)
    /// Answer the client, and turn the connection into a session or an event stream.
    case accept(Opening)
    indirect case refuse(HandshakeRefusal)
    case handToHTTP
    /// Answer a health check.
    case answer([UInt8])
    /// Close the connection without an answer.
    case abort
  }

  private enum State {
    /// The request head is expected.
    case reading
    case asking(Opening)
    case subscribing(Opening)
    case dialling(Opening)
    case viewing(Opening)
    /// The client was accepted, and shows who it is by its first message. Only then its groups are subscribed to.
    case awaitingToken(Opening)
    /// The last step was given out.
    case over
  }

  /// Tells which order keeps a user out of groups; nil for an anonymous client.
  typealias Ban = (_ user: String?, _ groups: [String]) -> StandingOrder?

  let allowance: Allowance
  private let ban: Ban
  private var state = State.reading

  /// - Parameter ban: asked once it is known who the client is and which groups it joins, and again after they were waited for.
  init(_ allowance: Allowance, ban: @escaping Ban = { _, _ in nil }) {
    self.allowance = allowance
    self.ban = ban
  }

  /// Whether the request head is still expected.
  var isReading: Bool {
    if case .reading = state { true } else { false }
  }

  /// The opening that waits for the outcome of a step.
  var waiting: Opening? {
    switch state {
    case .asking(let opening), .subscribing(let opening), .dialling(let opening), .viewing(let opening):
      opening
    case .reading, .awaitingToken, .over: nil
    }
  }

  var isSubscribing: Bool { if case .subscribing = state { true } else { false } }

  /// Takes an event into account.
  ///
  /// - Returns: the next step; nil if nothing is to be done, as for the outcome of a step that is not waited for any more.
  mutating func next(_ event: Event) -> Step? {
    switch (state, event) {
    case (.reading, .head(let head)): decided(head)
    case (.asking(let opening), .identified(let outcome)),
      (.awaitingToken(let opening), .identified(let outcome)):
      identified(opening, outcome)
    case (.subscribing(let opening), .subscribed(.active)), (.dialling(let opening), .dialled(.success)):
      // An order may have come meanwhile.
      keptOut(opening) ?? askView(opening)
    case (.viewing(let opening), .viewed(.success(let answer))): viewed(opening, answer)
    case (.viewing, .viewed(.failure(let refusal))): refuse(refusal)
    case (.subscribing, .subscribed(.unavailable)): refuse(HandshakeRefusal(.layerUnavailable))
    case (.dialling, .dialled(.failure(let refusal))): refuse(refusal)
    case (.awaitingToken, _), (.over, _): nil
    case (_, .timedOut): refuse(refusalOfTimeOut)
    case (.reading, .stopped(hasBegun: false, _)): end(.abort)
    case (_, .stopped(_, let retry)): refuse(HandshakeRefusal(.stopping(retry: retry)))
    case (_, .disconnected(let target)): isMeant(by: target) ? refuse(HandshakeRefusal(.disconnected)) : nil
    case (_, .head), (_, .identified), (_, .subscribed), (_, .dialled), (_, .viewed): nil
    }
  }

  /// The route of an open session was exchanged, while the client is still to show who it is, or is on its way into its groups.
  func exchange(for route: SessionRoute, _ captures: Captures) {
    switch state {
    case .awaitingToken(let opening), .asking(let opening), .subscribing(let opening), .viewing(let opening):
      opening.exchange(for: route, captures)
    case .reading, .dialling, .over: break
    }
  }

  /// Refuses the client of a step that brings it further in.
  ///
  /// - Parameter refusal: asked about the opening of such a step.
  /// - Returns: the step itself where there is nothing to refuse.
  mutating func judge(_ step: Step, _ refusal: (Opening) -> HandshakeRefusal?) -> Step {
    let coming: Opening? =
      switch step {
      case .accept(let opening), .askView(let opening): opening
      case .subscribe, .dial: waiting
      case .ask, .refuse, .handToHTTP, .answer, .abort: nil
      }
    guard let coming, var refusal = refusal(coming) else { return step }
    refusal.crossOrigin = coming.crossOrigin
    refusal.handshake = coming.refusableHandshake
    return end(.refuse(refusal))
  }

  /// The connection goes another way.
  mutating func end() {
    state = .over
  }

  private mutating func decided(_ head: Head) -> Step {
    switch head {
    case .opening(let opening): proceed(opening)
    case .refused(let refusal): refuse(refusal)
    case .http: end(.handToHTTP)
    case .health(let answer): end(.answer(answer))
    }
  }

  private mutating func identified(_ opening: Opening, _ outcome: Authentication) -> Step {
    if let refusal = opening.identified(outcome) { return refuse(refusal) }
    return proceed(opening)
  }

  /// Who the client is comes first. Then there has to be something to talk to before the client is told that it is accepted:
  /// the upstream, or the groups' events (as with Channels' consumers, which join in `connect`).
  private mutating func proceed(_ opening: Opening) -> Step {
    if let credentials = opening.credentials, let auth = opening.route.auth {
      state = .asking(opening)
      return .ask(credentials, auth)
    }
    if let refusal = keptOut(opening) { return refusal }
    if let upstream = opening.upstream {
      state = .dialling(opening)
      return .dial(upstream, route: opening.route.name)
    }
    if !opening.groups.isEmpty, let layer = opening.route.layer {
      state = .subscribing(opening)
      return .subscribe(opening.groups, layer: layer)
    }
    return askView(opening)
  }

  /// The view comes last: it is asked about a client that everything else lets in, and that misses nothing from then on.
  private mutating func askView(_ opening: Opening) -> Step {
    // Who the client is, is not known yet.
    guard opening.hasView, !opening.awaitsToken else { return accept(opening) }
    state = .viewing(opening)
    return .askView(opening)
  }

  private mutating func viewed(_ opening: Opening, _ answer: ViewAnswer) -> Step {
    opening.viewed(answer)
    // The user may be another one now, and an order may have come meanwhile.
    return keptOut(opening) ?? accept(opening)
  }

  /// - Returns: the refusal of a client whom an order keeps out.
  private mutating func keptOut(_ opening: Opening) -> Step? {
    guard let order = ban(opening.identity?.user, opening.groups) else { return nil }
    var refusal = HandshakeRefusal(.keptOut(order.reason))
    refusal.user = opening.identity?.user
    return refuse(refusal)
  }

  private mutating func accept(_ opening: Opening) -> Step {
    state = opening.awaitsToken ? .awaitingToken(opening) : .over
    return .accept(opening)
  }

  private mutating func refuse(_ refusal: HandshakeRefusal) -> Step {
    var refusal = refusal
    if let waiting {
      if refusal.crossOrigin.isEmpty { refusal.crossOrigin = waiting.crossOrigin }
      refusal.handshake = waiting.refusableHandshake
    }
    return end(.refuse(refusal))
  }

  private mutating func end(_ step: Step) -> Step {
    state = .over
    return step
  }

  private var refusalOfTimeOut: HandshakeRefusal {
    switch state {
    case .asking: HandshakeRefusal(.identityUnavailable)
    case .subscribing: HandshakeRefusal(.layerUnavailable)
    case .dialling: HandshakeRefusal(.upstreamTimeout)
    case .viewing: HandshakeRefusal(.viewUnavailable)
    case .reading, .awaitingToken, .over: allowance.isServed ? HandshakeRefusal(.timeout) : allowance.refusal
    }
  }

  /// An opening has no address yet, and before its client is known it has no user.
  private func isMeant(by target: SessionTarget) -> Bool {
    // While the view is asked there is a session, which takes orders itself.
    if case .viewing = state { return false }
    guard let waiting, target.address == nil, !target.isEmpty, waiting.credentials == nil else {
      return false
    }
    return (target.user.map { $0 == waiting.identity.map { ExactText(text: $0.user) } } ?? true)
      && (target.group.map(waiting.groups.contains) ?? true)
  }
}
