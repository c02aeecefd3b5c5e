import Bytes
import ChannelLayers
import Consumers
import GatewayConfig
import JSON
import Routing
import Sessions
import Transport

// Queries about groups, which change nothing.

extension PublishCall {
  private static let mostGroups = 1000

  /// `?prefix=`, `?after=` the last name of the previous page, `?limit=`.
  func listGroups(_ caller: PublishEndpoint.Caller) throws(PublishRefusal) {
    var query = try RequestQuery(exchange.path.query)
    let filter = GroupFilter(prefix: query.value("prefix") ?? "", after: query.value("after") ?? "")
    let limit = try query.integer("limit", in: 1...Self.mostGroups) ?? Self.mostGroups
    try query.finish()
    // One group more than the page shows whether there are more.
    let listing = GroupListing(of: endpoint.layer, first: limit + 1, filter) { [endpoint] in
      endpoint.mayList($0, caller)
    } while: {
      self.isWanted
    }
    listing.run(through: publisher, from: worker) { [self] found in
      let groups = found.prefix(limit).map { group -> JSON in
        ["group": .string(group.name), "sessions": .number(group.sessions)]
      }
      let next = found.count > limit ? JSON.string(found[limit - 1].name) : .null
      answer(.json(200, ["groups": .array(groups), "next": next]))
    }
  }

  /// `?group=`: the presence in the group, in all processes on the layer.
  func listPresent(_ caller: PublishEndpoint.Caller) throws(PublishRefusal) {
    var query = try RequestQuery(exchange.path.query)
    let group = try group(in: &query, caller)
    try query.finish()
    let layer = endpoint.layer
    guard layer.hasPresence else {
      throw PublishRefusal(.publishNothingThere, "no route of this channel layer has \"presence\"")
    }
    worker.offload {
      await layer.presence(in: group)
    } _: { [self] list in
      attempt { () throws(PublishRefusal) in
        guard let list else { throw .busy("presence is temporarily unavailable") }
        // On a Redis layer another process may serve other routes, so members say more than the routes here.
        guard list.count > 0 || endpoint.application.keepsPresence(of: group) else {
          throw PublishRefusal(.publishNothingThere, "no route with the group \"\(group)\" has \"presence\"")
        }
        var text: [UInt8] = []
        list.appendJSON(to: &text)
        text.append(UInt8(ascii: "\n"))
        answer(.json(200, text: text))
      }
    }
  }

  /// `?group=`, `?since=` an id, `?limit=`: the kept events after the id, the oldest first.
  ///
  /// - Parameter share: grows with the answer, which counts until the client has received it.
  func listHistory(_ caller: PublishEndpoint.Caller, _ share: MemoryShare) throws(PublishRefusal) {
    var query = try RequestQuery(exchange.path.query)
    let group = try group(in: &query, caller)
    let since = query.value("since")
    let limit = try query.integer("limit", in: 1...Self.mostEvents) ?? 100
    try query.finish()
    let position = since.flatMap { EventPosition($0) }
    guard since == nil || since == "" || position != nil else {
      throw PublishRefusal(malformed: "\"since\" must be an id: EPOCH.OFFSET")
    }
    guard share.resize(to: 2 * Publisher.largestHistory) else {
      throw .busy("there is no memory for more answers with histories")
    }
    publisher.history(of: group, on: endpoint.layer, behind: position, from: worker) { [self] history in
      attempt { () throws(PublishRefusal) in
        switch history {
        case .kept(let slice): answer(slice, of: group, atMost: limit, for: caller, share)
        case .notKept:
          throw PublishRefusal(.publishNothingThere, "the group \"\(group)\" keeps no history")
        case .unavailable: throw .busy("the channel layer is not available")
        }
      }
    }
  }

  private static let mostEvents = 1000

  private func answer(
    _ slice: HistorySlice, of group: String, atMost limit: Int, for caller: PublishEndpoint.Caller,
    _ share: MemoryShare
  ) {
    let readers = endpoint.readers.of(group)
    // A megabyte of events takes longer than a turn should.
    worker.offload {
      slice.answer(of: group, atMost: limit) { caller.maySee($0, of: readers) }
    } _: { [self] text in
      share.resize(to: text.count)
      var answer = HTTPAnswer.json(200, text: text)
      answer.share = share
      self.answer(answer)
    }
  }

  private func group(
    in query: inout RequestQuery, _ caller: PublishEndpoint.Caller
  ) throws(PublishRefusal) -> String {
    guard let group = query.value("group"), GroupName.isOpen(group) else {
      throw PublishRefusal(malformed: "the query must name a valid group: ?group=chat_lobby")
    }
    guard endpoint.mayName(group, caller) else {
      throw PublishRefusal(.publishNotAllowed, "this route may not ask about the group \"\(group)\"")
    }
    try endpoint.checkOrders(about: caller, reading: [group])
    return group
  }
}

extension PublishEndpoint.Caller {
  /// Whether an event of a history is for the caller. What is for one user is for nobody else, and for none who has no name. Programs of
  /// the operator's see everything.
  func maySee(_ event: Event, of readers: HistoryReaders) -> Bool {
    lane == .token || readers.include(countedUser, for: event)
  }
}

extension HistorySlice {
  /// `{"group": "...", "gap": false, "events": [...], "id": "EPOCH.OFFSET", "more": false}`
  fileprivate func answer(
    of group: String, atMost limit: Int, where isShown: (Event) -> Bool
  ) -> [UInt8] {
    let shown = events.prefix(limit)
    let isComplete = isLast && shown.count == events.count
    let answer: JSON = [
      "group": .string(group), "gap": .bool(isGap),
      "events": .array(shown.filter(isShown).map(\.publishedJSON)),
      "id": .string((shown.last?.position ?? start).description), "more": .bool(!isComplete),
    ]
    return answer.bytes + "\n".utf8
  }
}

extension Event {
  /// `{"id": ..., "event": {"type": ..., and its fields}}`, with bytes in the form that the publish API accepts.
  fileprivate var publishedJSON: JSON {
    let type: JSON = ["type": .string(type)]
    // Without what only the gateway reads of it, such as the addresses of sessions.
    let shown = fields.filter { !Event.isOwn(field: $0.name) }
    let event = type.with(.object(shown.map { .init(key: $0.name, value: $0.value.publishedJSON) }))
    return ["id": position.map { .string($0.description) } ?? .null, "event": event]
  }
}

extension EventValue {
  fileprivate var publishedJSON: JSON {
    switch self {
    case .json(let value): value
    // The text was checked when it arrived.
    case .encodedJSON(let text): (try? JSON.parse(text.rawBytes)) ?? .null
    case .text(let text): .string(String(decoding: text, as: UTF8.self))
    case .bytes(let bytes): .string(Base64.encode(bytes))
    }
  }
}
