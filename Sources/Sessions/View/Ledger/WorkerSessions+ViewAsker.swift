extension WorkerSessions {
  /// Who asks the view of a route on this reactor; nil for a route without a view.
  func viewAsker(of route: SessionRoute) -> (any ViewAsker)? { nil }
}
