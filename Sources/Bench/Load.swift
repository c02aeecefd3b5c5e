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

    package var name: String {
      switch self {
      case .echo: "echo"
      case .fanOut: "fanout"
      case .connect: "connect"
      case .idle: "idle"
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

  package var work: Work
  package var connections = 100
  package var message = MessageShape()
  package var warmUp = Duration.seconds(1)
  package var duration = Duration.seconds(5)
  /// The time for opening all connections.
  package var openTimeout = Duration.seconds(30)
  /// Reactors of the load generator.
  package var threads = 1
  /// Header fields besides those of the handshake.
  package var fields: [HeaderField] = []
  package var subprotocols: [String] = []
  /// Whether the server has to compress its messages. The load generator's own messages are never compressed.
  package var offersCompression = false
  /// The id of the server's process, to measure its memory and its processor time.
  package var server: Int32?

  package init(_ work: Work) {
    self.work = work
  }

  /// Why the load is not possible; nil if it is.
  package var fault: String? {
    switch work {
    case .echo: message.fault(isStamped: false)
    case .fanOut: message.fault(isStamped: true)
    case .connect, .idle: nil
    }
  }

  var publishers: Int {
    if case .fanOut(let publishers, _) = work { publishers } else { 0 }
  }
}
