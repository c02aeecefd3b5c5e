package import Transport
package import WebSocketCore

/// The work of a server in a run: its kind, amount and duration.
package struct Load: Sendable {
  package enum Work: Sendable, Equatable {
    /// Each connection keeps this many messages in flight, and waits for their answers.
    case echo(inFlight: Int)
    /// Publishers send to a group; the connections are its subscribers.
    case fanOut(publishers: Int, Pace)
    /// Each connection is opened, closed and opened again.
    case connect
    /// Connections are opened and held.
    case idle
    /// Each connection keeps this many requests in flight that publish to a group. It may have listeners.
    case publish(inFlight: Int)
    /// As `fanOut`, but publishers send requests, and the connections are event streams.
    case events(publishers: Int, Pace)

    package var name: String {
      switch self {
      case .echo: "echo"
      case .fanOut: "fanout"
      case .connect: "connect"
      case .idle: "idle"
      case .publish: "publish"
      case .events: "events"
      }
    }
  }

  /// When publishers send.
  package enum Pace: Sendable, Equatable {
    /// While fewer than this many of a publisher's messages are missing at a subscriber.
    case window(Int)
    /// This many messages a second, of all publishers together.
    case rate(Double)
  }

  /// Sessions or event streams of the group that is published to.
  package struct Listeners: Sendable {
    package var target: Target
    package var count: Int

    package init(_ target: Target, count: Int) {
      self.target = target
      self.count = count
    }
  }

  package var work: Work
  package var connections = 100
  package var message = MessageShape()
  package var warmUp = Duration.seconds(1)
  package var duration = Duration.seconds(5)
  /// The time for opening all connections.
  package var openTimeout = Duration.seconds(30)
  /// Reactors of the load generator.
  package var threads = 1
  /// Header fields besides those of the handshake or the request.
  package var fields: [HeaderField] = []
  package var subprotocols: [String] = []
  /// Whether the server has to compress its messages. The load generator's own messages are never compressed.
  package var offersCompression = false
  /// The id of the server's process, to measure its memory and its processor time.
  package var server: Int32?
  /// Whose certificates are accepted where TLS is spoken.
  package var trust = TLSContext.Trust.system
  /// Of requests that publish; nil if they need none.
  package var token: String?
  /// Where `events` publishes.
  package var publishing: Target?
  /// Who gets what `publish` publishes.
  package var listeners: Listeners?

  package init(_ work: Work) {
    self.work = work
  }

  /// Why the load is not possible; nil if it is.
  package var fault: String? {
    switch work {
    case .echo: message.fault(isStamped: false)
    case .fanOut, .events: message.fault(isStamped: true)
    case .publish: tooManySenders ?? message.fault(isStamped: receivers > 0)
    case .connect, .idle: nil
    }
  }

  private var tooManySenders: String? {
    receivers > 0 && connections > Stamp.senders.count
      ? "with listeners at most \(Stamp.senders.count) connections can publish" : nil
  }

  /// Connections that are opened behind all others, and publish.
  var publishers: Int {
    switch work {
    case .fanOut(let publishers, _), .events(let publishers, _): publishers
    case .publish: connections
    case .echo, .connect, .idle: 0
    }
  }

  /// Connections that get what is published.
  package var receivers: Int {
    switch work {
    case .fanOut, .events: connections
    case .publish: listeners?.count ?? 0
    case .echo, .connect, .idle: 0
    }
  }

  /// Connections that are opened first.
  var opened: Int {
    if case .publish = work { receivers } else { connections }
  }

  package var publishesWithRequests: Bool {
    switch work {
    case .publish, .events: true
    case .echo, .fanOut, .connect, .idle: false
    }
  }

  /// When publishers send; nil if they send for each answer, or there are none.
  var pace: Pace? {
    switch work {
    case .fanOut(_, let pace), .events(_, let pace): pace
    case .echo, .connect, .idle, .publish: nil
    }
  }
}
