package import WebSocketCore

/// What is done to a server, how much of it, and for how long.
package struct Load: Sendable {
  package enum Work: Sendable, Equatable {
    /// Each connection keeps so many messages in flight, and waits for them to come back.
    case echo(inFlight: Int)
    /// Publishers send to a group, whose subscribers are the connections.
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

  /// When a publisher sends.
  package enum Pace: Sendable, Equatable {
    /// As long as fewer than so many of its messages are not with every subscriber.
    case window(Int)
    /// So many messages a second, of all publishers together.
    case rate(Double)
  }

  package var work: Work
  package var connections = 100
  package var message = MessageShape()
  package var warmUp = Duration.seconds(1)
  package var duration = Duration.seconds(5)
  /// For opening all connections.
  package var openTimeout = Duration.seconds(30)
  /// Reactors of the generator.
  package var threads = 1
  /// Beyond those of the hand-shake.
  package var fields: [HeaderField] = []
  package var subprotocols: [String] = []
  /// Whether the server is to compress what it sends; the generator's own messages are never compressed.
  package var offersCompression = false
  /// The server's process, where its memory and its time are to be read.
  package var server: Int32?

  package init(_ work: Work) {
    self.work = work
  }

  /// Why it cannot be; nil where it can.
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
