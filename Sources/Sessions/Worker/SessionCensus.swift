/// A worker's sessions and streams, counted by their routes.
package enum SessionCensus {
  /// What they are counted by.
  package struct Kind: Sendable, Hashable {
    package var route: String
    package var isStream: Bool

    package init(route: String, isStream: Bool) {
      self.route = route
      self.isStream = isStream
    }
  }
}

extension WorkerSessions {
  /// Counts them, a part at a time.
  ///
  /// - Parameter done: called once with those that were there during the count; never if the reactor ends before.
  package func takeCensus(_ done: @escaping ([SessionCensus.Kind: Int]) -> Void) {
    var counts: [SessionCensus.Kind: Int] = [:]
    visitAll { session in
      counts[.init(route: session.routeName, isStream: session is EventStream), default: 0] += 1
    } completed: { _ in
      done(counts)
    }
  }
}
