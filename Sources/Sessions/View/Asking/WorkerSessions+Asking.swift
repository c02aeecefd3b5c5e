import GatewayConfig
import Transport

/// The turn of a question on another worker has come.
package struct ViewCall: Sendable {
  let view: RouteView
  let call: ViewQueue.Call
}

extension WorkerSessions {
  /// Who asks the view of a route whose consumer asks one, also after a reload that has removed the route.
  func viewAsker(of route: SessionRoute) -> any ViewAsker {
    guard let view = route.view else { preconditionFailure("only a route with a view is asked about") }
    if let known = askers[ObjectIdentifier(view)] { return known }
    let asker = RouteAsker(view, of: self)
    askers[ObjectIdentifier(view)] = asker
    return asker
  }

  func called(_ call: ViewCall) {
    if let asker = askers[ObjectIdentifier(call.view)] { return asker.called(call.call) }
    // It has nobody waiting: they were forgotten.
    guard call.call.verdict == .go else { return }
    _ = call.view.gate.leave(call.call.id, call.call.lane, .unasked, at: reactor.now)
  }

  /// All sessions have had their turn to go on by the routes that are served now: so do those that have ended, and whose views are still
  /// told of them.
  func askAsServed() {
    for link in endedViews.links {
      guard let new = served.live.session(named: link.route.name), new !== link.route,
        RouteChange(from: link.route.meaning, to: new.meaning).isContinued
      else { continue }
      link.adopt(new)
    }
    retireAskers()
  }

  /// Lets go of those whose routes are not served any more, once their last question is over and no session asks through them: a question
  /// whose turn another worker calls has to find its asker.
  func retireAskers() {
    let served = Set(served.routes.compactMap { $0.view.map(ObjectIdentifier.init) })
    for view in Array(askers.keys) where !served.contains(view) {
      askers[view]?.retire()
      if askers[view]?.isIdle == true, isKnownUniquelyReferenced(&askers[view]) { askers[view] = nil }
    }
  }

  /// A stop has only so much time left that the ends of sessions need it: nothing else is asked any more, and what is under way is
  /// waited for.
  package func askEndsOnly() {
    endedViews.giveUp()
    for asker in askers.values { asker.askReportsOnly() }
    reports.hurry()
  }

  package func askEndsOnly(after time: Duration) {
    // Unowned: the worker lives while its reactor runs.
    let timer = lastAnswers ?? reactor.timer { [unowned self] in askEndsOnly() }
    lastAnswers = timer
    timer.schedule(after: time)
  }
}
