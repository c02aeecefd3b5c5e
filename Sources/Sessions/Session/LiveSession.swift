package import Transport

/// A client that events are sent to, however it is connected: what its worker does with all of them alike.
package protocol LiveSession: AnyObject {
  /// Where the worker keeps it.
  var index: Int { get set }
  var routeName: String { get }

  /// Begins the end in the way of its protocol.
  func close(_ reason: CloseReason)

  /// Called by the worker's sweep a few times in each of the shortest waits: nanoseconds of the reactor's clock.
  func checkKeepAlive(at now: UInt64)

  /// Whether its route is one of these.
  func isServed(by routes: LiveRoutes) -> Bool
  /// Goes on by the route that its path leads to now, if it can. The caller closes it if it cannot.
  ///
  /// - Returns: what is to become of it; nil where it has ended already.
  func adopt(_ exchange: RouteChanges) -> ClientOutcome?
  /// The same without changing anything.
  func judge(by exchange: RouteChanges) -> ClientOutcome?

  /// Ends at once: the process is being stopped and the time for it is over.
  func abandon()

  /// What another process needs to go on with it. Nothing is changed by that.
  ///
  /// - Parameter chunks: gets the unsent bytes.
  /// - Returns: nil where it cannot be handed over, or not at this moment.
  func handedState(_ chunks: UnsentChunks) -> SessionState?

  /// Whether it could never be handed over, whatever it waits for.
  var isBound: Bool { get }
}

/// How long the other side may take at the end of a connection.
package enum Farewell {
  /// To answer a close frame.
  static let answer = Duration.seconds(5)
  /// To take the last bytes once it has been said that it is over.
  package static let lingering = Duration.seconds(2)
}
