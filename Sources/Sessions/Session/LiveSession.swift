/// A client that events are sent to, however it is connected: what its worker does with all of them alike.
package protocol LiveSession: AnyObject {
  /// Where the worker keeps it.
  var index: Int { get set }
  var routeName: String { get }

  /// Begins the end in the way of its protocol.
  func close(_ reason: CloseReason)

  /// Called by the worker's sweep a few times in each of the shortest waits: nanoseconds of the reactor's clock.
  func checkKeepAlive(at now: UInt64)

  /// What is served was exchanged.
  func adopt(_ routes: LiveRoutes)

  /// Ends at once: the process is being stopped and the time for it is over.
  func abandon()
}

/// How long the other side may take at the end of a connection.
enum Farewell {
  /// To answer a close frame.
  static let answer = Duration.seconds(5)
  /// To take the last bytes once it has been said that it is over.
  static let lingering = Duration.seconds(2)
}
