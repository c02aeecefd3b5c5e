import Bytes
import ChannelLayers
import Consumers
import GatewayConfig
import Routing
package import WebSocketCore

/// A request whose head passed every check, and the session or the event stream that it opens.
///
/// An object, of which only the current step of the admission makes use: as a value it was copied by each step, which was a tenth of a
/// handshake's instructions.
final class Opening {
  /// The kind of connection, and what only that kind needs.
  enum Kind {
    case session(SessionOpening)
    case stream(EventStreamOpening)
  }

  var kind: Kind
  /// The captures of the path.
  var captures: Captures
  let wayIn: WayIn
  /// Where in the history of the first group the client begins; nil if the route's groups keep none.
  var history: HistoryRequest?
  /// The client's credentials, while it has to be authenticated.
  var credentials: Credentials?
  /// The part of the request that views are asked about again while the session is open; nil if they are not.
  var standing: Credentials?
  /// Nil until the client is authenticated, for anonymous clients, and for routes without `auth`.
  var identity: Identity?
  /// Whether the first message has to contain a token.
  var awaitsToken = false
  /// The groups that the client joins before it is accepted. Its messages go to the first one.
  var groups: [String] = []

  init(_ kind: Kind, captures: Captures, history: HistoryRequest?, by wayIn: WayIn = .unknown) {
    self.kind = kind
    self.wayIn = wayIn
    self.captures = captures
    self.history = history
  }
}

/// The part of an opening that only a WebSocket session has.
/// An object, so that the steps of an admission pass on one reference.
final class SessionOpening {
  fileprivate(set) var route: SessionRoute
  let handshake: Handshake
  /// The request to the upstream of a `proxy` route, before the client is accepted.
  var upstream: UpstreamRequest?
  /// What the view of a `view` route is told of the request.
  var view: ViewedRequest?
  /// The view has answered: it decides about the subprotocol.
  var answer: ViewAnswer?
  /// What was agreed on before the view was asked.
  var compression: CompressionAgreement?

  init(route: SessionRoute, handshake: Handshake, upstream: UpstreamRequest? = nil) {
    self.route = route
    self.handshake = handshake
    self.upstream = upstream
  }

  struct UpstreamRequest {
    var configuration: UpstreamConfiguration
    var handshake: ClientHandshake
  }
}

/// The part of an opening that only an event stream has.
struct EventStreamOpening {
  var route: EventRoute
  /// The header fields that let a page of another origin read the answer.
  var crossOrigin: [HeaderField]
}

extension Opening {
  var route: any LiveRoute {
    switch kind {
    case .session(let session): session.route
    case .stream(let stream): stream.route
    }
  }

  /// The client of an open session has not shown its first token yet, and will come into the groups of another route.
  func exchange(for route: SessionRoute, _ captures: Captures) {
    guard case .session(let session) = kind else { return }
    session.route = route
    self.captures = captures
  }

  /// Whether a view decides about the client once everything else is known.
  var hasView: Bool {
    switch kind {
    case .session(let session): session.view != nil
    case .stream: false
    }
  }

  var upstream: SessionOpening.UpstreamRequest? {
    switch kind {
    case .session(let session): session.upstream
    case .stream: nil
    }
  }

  /// The fields for a refusal. Those of handshakes are empty: no page can read their refusals.
  var crossOrigin: [HeaderField] {
    switch kind {
    case .session: []
    case .stream(let stream): stream.crossOrigin
    }
  }

  /// The handshake that is accepted if the client is refused; nil where the refusal is an answer with its status.
  var refusableHandshake: Handshake? {
    guard case .session(let session) = kind, session.route.configuration.refusals == .close else {
      return nil
    }
    return session.handshake
  }

  /// Makes the names of the groups, once the client's identity is known.
  func nameGroups() throws(GroupFault) {
    guard let configuration = route.groups else { return }
    let value = { [identity] (place: String) in identity?.values(of: place) }
    groups = try configuration.names(for: captures, given: identity?.groups ?? [], value: value).get()
    // What an element's group keeps is not what the client has missed.
    if configuration.beginsWithList(value) { history = nil }
  }
}

// MARK: - The answers

extension SessionOpening {
  /// The bytes of the 101 answer, with the upstream's subprotocol or the one that the route prefers.
  func response(compression: CompressionAgreement?, through upstream: UpstreamOpening.Opened?) -> [UInt8] {
    let known = route.configuration.subprotocols
    let chosen =
      upstream == nil
      ? answer?.subprotocol ?? handshake.chooseSubprotocol(from: known) : upstream?.subprotocol
    return handshake.response(
      subprotocol: chosen ?? tokenSubprotocol, compression: compression, fields: upstream?.fields ?? [])
  }
}

extension EventStreamOpening {
  /// The head of the answer, which has no end, and the first line of the stream.
  ///
  /// - Parameter date: for `Date`.
  func response(date: String) -> [UInt8] {
    var text = "HTTP/1.1 200 OK\r\n"
    for field in EventRoute.fields + crossOrigin { text += "\(field.name): \(field.value)\r\n" }
    text += "Date: \(date)\r\nConnection: close\r\n\r\n"
    text += "retry: \(Int(route.configuration.retry / .milliseconds(1)))\n\n"
    return OpaqueText.bytes(of: text)
  }
}

extension EventRoute {
  /// What an `events` route answers to.
  package static let methods = "GET, HEAD, OPTIONS"

  /// Fields of every answer of an `events` route: nothing between here and the client may cache or buffer it.
  package static let fields = [
    HeaderField(name: "Content-Type", value: "text/event-stream"),
    HeaderField(name: "Cache-Control", value: "no-store"),
    HeaderField(name: "X-Accel-Buffering", value: "no"),
  ]
}
