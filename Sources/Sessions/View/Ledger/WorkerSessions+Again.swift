extension WorkerSessions {
  /// Another process has told views that the sessions with these addresses have ended, by mistake: *connect* is asked again, with their
  /// groups, their state and their user as they are, and the answer is carried out.
  func connectAgain(_ addresses: Set<String>) {
    for case let session as Session in live {
      guard let view = session.view, addresses.contains(view.record.address) else { continue }
      view.connectAgain()
    }
  }
}
