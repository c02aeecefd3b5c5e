import Transport

/// The turn of a question on another worker has come.
package struct ViewCall: Sendable {
  let view: RouteView
  let call: ViewQueue.Call
}

extension WorkerSessions {
  /// Who asks the view of a route; nil for a route whose consumer asks none.
  func asker(for route: SessionRoute) -> (any ViewAsker)? {
    guard let view = route.view else { return nil }
    if let known = askers[ObjectIdentifier(view)] { return known }
    let asker = RouteAsker(view, of: self)
    askers[ObjectIdentifier(view)] = asker
    return asker
  }

  /// The same for a route whose consumer asks a view.
  func viewAsker(of route: SessionRoute) -> any ViewAsker {
    guard let asker = asker(for: route) else {
      preconditionFailure("only routes with a view have such sessions")
    }
    return asker
  }

  func called(_ call: ViewCall) {
    if let asker = askers[ObjectIdentifier(call.view)] { return asker.called(call.call) }
    // It has nobody waiting: they were forgotten.
    guard call.call.verdict == .go else { return }
    _ = call.view.gate.leave(number, call.call.lane, .unasked, at: reactor.now)
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
