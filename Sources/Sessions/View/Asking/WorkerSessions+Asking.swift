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

  /// Lets go of those whose routes are not served any more, once their last question is over.
  func retireAskers() {
    let served = served.routes.compactMap { $0.view.map(ObjectIdentifier.init) }
    for (view, asker) in askers where !served.contains(view) {
      asker.retire()
      if asker.isIdle { askers[view] = nil }
    }
  }
}
