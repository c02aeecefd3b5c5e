import ChannelLayers
import JSON
import Logging
import Sessions
import Transport
import WebSocketCore

// `protocol: grip`: requests and answers as those of pushpin.

extension PublishCall {
  func publishGrip(_ body: [UInt8], _ caller: PublishEndpoint.Caller) throws(PublishRefusal) {
    // With a token it does not matter: pages of other sites have none.
    if caller.lane == .anonymous { try checkType() }
    try read(body) { [endpoint] body throws(PublishRefusal) in
      try GripRequest(body) { endpoint.mayName($0, caller) }
    } _: { [self] request in
      endpoint.tellOfPassedOver(request)
      publisher.publish(request.events, on: endpoint.layer, from: worker) { [self] outcomes in
        let result = endpoint.answer(to: request.events, outcomes).answer
        answer(outcomes.isEmpty || result.status == 200 ? published : HTTPAnswer(result))
      }
    }
  }

  /// Text, unless the request wants JSON.
  private var published: HTTPAnswer {
    let types = exchange.request.fields.members(of: "accept").map { $0.prefix { $0 != ";" && $0 != " " } }
    let known = types.last { ["text/plain", "text/*", "*/*", "application/json"].contains($0) }
    guard known == "application/json" else {
      return HTTPAnswer(
        status: 200, fields: [HeaderField(name: "Content-Type", value: "text/plain")],
        body: Array("Published\n".utf8))
    }
    return .json(200, ["message": "Published"])
  }
}

extension PublishEndpoint {
  fileprivate func tellOfPassedOver(_ request: GripRequest) {
    for reason in request.passedOver {
      surroundings.process.log.log(
        "a part of what was published was passed over", at: .warning, paced: passedOverPace,
        ["route": "\(route)", "reason": "\(reason)"])
    }
  }
}
