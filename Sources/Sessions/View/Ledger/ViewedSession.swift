/// A session that a view is asked about.
package protocol ViewedSession: LiveSession {
  /// Nil before it has one, and after its end.
  var viewAddress: String? { get }

  /// Another process has told the view that it has ended, by mistake: the view is asked *connect* again, with its groups, its state
  /// and its user as they are, and the answer is carried out. Nothing after its end.
  func connectAgain()
}

extension WorkerSessions {
  /// Has the sessions with these addresses ask *connect* again.
  func connectAgain(_ addresses: Set<String>) {
    for case let session as any ViewedSession in live {
      guard let address = session.viewAddress, addresses.contains(address) else { continue }
      session.connectAgain()
    }
  }
}
