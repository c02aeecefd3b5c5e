import Consumers
package import JSON
package import Routing
package import WebSocketCore

/// One question to the view of a route: what happened to a session.
///
/// A value without a connection. How it is written is the matter of the route's `protocol`.
package struct ViewQuestion: Sendable, Equatable {
  package enum Event: Sendable, Equatable {
    /// Before the client is accepted.
    ///
    /// - Parameter isAgain: whether the session is open, and was reported as ended by mistake.
    case connect(ConnectDetails, isAgain: Bool)
    /// Messages of the client, in their order.
    case receive([Message])
    case disconnect(SessionEnd)
    /// The sessions of this process on the route, or a part of them.
    case alive(Presence)
    /// `validate --connect`: nothing happened.
    case check

    package var name: String {
      switch self {
      case .connect: "connect"
      case .receive: "receive"
      case .disconnect: "disconnect"
      case .alive: "alive"
      case .check: "check"
      }
    }
  }

  package struct Presence: Sendable, Equatable {
    package var addresses: [String]
    /// Which part of the list it is, from 1 on, and of how many.
    package var part: Int
    package var parts: Int
    /// After how long the next list follows. Seconds.
    package var interval: Double

    /// The most addresses of one question.
    package static let most = 1000

    package init(addresses: [String], part: Int = 1, parts: Int = 1, interval: Double) {
      self.addresses = addresses
      self.part = part
      self.parts = parts
      self.interval = interval
    }
  }

  /// Where a question goes that is about no session.
  package struct Place: Sendable, Equatable {
    /// The name of the route.
    package var route: String
    /// Path and query.
    package var target: String

    package init(route: String, target: String) {
      self.route = route
      self.target = target
    }
  }

  package struct ConnectDetails: Sendable, Equatable {
    /// What the client offers.
    package var subprotocols: [String] = []
    /// The fields that go with *connect* only: those of `headers`, in lower case.
    package var fields: [HeaderField] = []

    package init(subprotocols: [String] = [], fields: [HeaderField] = []) {
      self.subprotocols = subprotocols
      self.fields = fields
    }
  }

  package struct Message: Sendable, Equatable {
    package enum Payload: Sendable, Equatable {
      /// UTF-8.
      case text([UInt8])
      case bytes([UInt8])
    }

    /// Counted within the session, from 1 on.
    package var number: UInt64
    package var payload: Payload

    package init(number: UInt64, payload: Payload) {
      self.number = number
      self.payload = payload
    }
  }

  /// The same for each attempt: the view answers the second one as it has answered the first one.
  package var id: String
  package var event: Event
  /// Nil for *alive* and *check*.
  package var session: ViewRecord?
  /// Where the question goes.
  package var place: Place
  /// How often it was asked before by another `ask`, so that its attempts are counted on.
  package var earlierAttempts = 0

  package init(id: String, event: Event, session: ViewRecord) {
    self.id = id
    self.event = event
    self.session = session
    place = Place(route: session.route, target: session.target)
  }

  /// A question about no session.
  package init(id: String, event: Event, place: Place) {
    self.id = id
    self.event = event
    self.place = place
  }
}

/// How a session has ended, as its view is told.
package struct SessionEnd: Sendable, Equatable {
  /// RFC 6455 section 7.1.5: 1006 where no close frame came.
  package var code: UInt16
  package var reason: String
  /// Since *connect* was asked. Seconds.
  package var duration: Double
  /// Whether another process reports it, because that of the session seems to have ended.
  package var isPresumed = false

  package init(code: UInt16, reason: String, duration: Double, isPresumed: Bool = false) {
    self.code = code
    self.reason = reason
    self.duration = duration
    self.isPresumed = isPresumed
  }
}

/// What is kept of a session for its view, for as long as it lives and until its end was reported.
package struct ViewRecord: Sendable, Equatable {
  /// The name with which the session is reached (`{channel}`).
  package var address: String
  /// The name of the route.
  package var route: String
  /// Where its questions go: path and query.
  package var target: String
  /// The path of the client's request, without its query.
  package var path: String
  /// The query of the client's request without tokens; empty if there is none.
  package var query: String
  package var captures: Captures
  /// The host that the client has asked for; a trusted proxy may have named it. Empty if it is not known.
  package var host: String
  /// The address of the client, for `X-Forwarded-For`.
  package var client: String
  /// Nil for an anonymous client.
  package var user: String?
  package var claims: JSON?
  /// What it is in; at the end what it was in last.
  package var groups: [String]
  /// The groups that its route names for it.
  package var named: [String]
  /// The opaque value of the last answer, as JSON text of at most `longestState` bytes; nil before the first.
  package var state: [UInt8]?
  /// When *connect* was asked first. Seconds since 1970.
  package var since: Double
  /// Whether the client has spoken TLS, for `X-Forwarded-Proto`. The last one, so that small members of who keeps it stand beside it.
  package var isSecure: Bool

  /// The view says who the client is. Nil for what it does not say.
  mutating func identify(as user: String?, claims: JSON?) {
    // What is known of one user says nothing of another one.
    if let user, user != self.user { (self.user, self.claims) = (user, nil) }
    if let claims { self.claims = self.claims.map { $0.merging(claims) } ?? claims }
  }

  /// In bytes.
  package static let longestState = 4096

  package init(
    address: String, route: String, target: String, path: String, query: String, captures: Captures,
    host: String, client: String, isSecure: Bool, user: String?, claims: JSON?, groups: [String],
    named: [String] = [], state: [UInt8]? = nil, since: Double
  ) {
    self.address = address
    self.route = route
    self.target = target
    self.path = path
    self.query = query
    self.captures = captures
    self.host = host
    self.client = client
    self.isSecure = isSecure
    self.user = user
    self.claims = claims
    self.groups = groups
    self.named = named
    self.state = state
    self.since = since
  }
}
