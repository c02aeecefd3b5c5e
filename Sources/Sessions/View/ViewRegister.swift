/// The sessions of the process that views are to be told the end of: no session of a route that asks *disconnect* is forgotten.
///
/// Can be called from any thread.
package protocol ViewRegister: AnyObject, Sendable {
  /// Notes a session before its *connect* is asked, so that its end is reported whatever becomes of this process.
  ///
  /// - Parameter noted: called once, on any thread; false where it cannot be noted, so that the client has to be refused.
  func enter(_ record: ViewRecord, _ noted: @escaping @Sendable (Bool) -> Void)

  /// Its groups, its state or its user are others now.
  func change(_ record: ViewRecord)

  /// *connect* was not sent, or was refused: there is nothing to report.
  func forget(_ record: ViewRecord)

  /// The session has ended. Its *disconnect* is asked until the view has answered.
  func ended(_ record: ViewRecord, _ end: SessionEnd)
}
