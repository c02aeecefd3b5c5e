import Bytes
import ChannelLayers
import GatewayConfig
import HTTPTypes
import Hummingbird
import JSON
import Routing
import Sessions
import Transport

// Queries about groups, which change nothing.

extension PublishEndpoint {
  private static let mostGroups = 1000

  /// `?prefix=`, `?after=` the last name of the previous page, `?limit=`.
  func listGroups(_ request: Request, _ caller: Caller) async throws -> Response {
    var query = try RequestQuery(request.uri.query)
    let prefix = query.value("prefix") ?? ""
    let after = query.value("after") ?? ""
    let limit = try query.integer("limit", in: 1...Self.mostGroups) ?? Self.mostGroups
    try query.finish()
    // One group more than the page shows whether there are more.
    let found = await publisher.groups(on: layer, first: limit + 1) {
      $0.hasPrefix(prefix) && (after.isEmpty || $0 > after)
    } allowed: {
      mayName($0, caller)
    }
    let groups = found.prefix(limit).map { group -> JSON in
      ["group": .string(group.name), "sessions": .number(group.sessions)]
    }
    let next = found.count > limit ? JSON.string(found[limit - 1].name) : .null
    return .json(.ok, ["groups": .array(groups), "next": next])
  }

  /// `?group=`: the presence in the group, in all processes on the layer.
  func listPresent(_ request: Request, _ caller: Caller) async throws -> Response {
    var query = try RequestQuery(request.uri.query)
    let group = try group(in: &query, caller)
    try query.finish()
    guard layer.hasPresence else {
      throw PublishRefusal(.publishNothingThere, "no route of this channel layer has \"presence\"")
    }
    guard let list = await layer.presence(in: group) else {
      throw Self.busy("presence is temporarily unavailable")
    }
    // On a Redis layer another process may serve other routes, so members say more than the routes here.
    guard list.count > 0 || application.keepsPresence(of: group) else {
      throw PublishRefusal(.publishNothingThere, "no route with the group \"\(group)\" has \"presence\"")
    }
    var text: [UInt8] = []
    list.appendJSON(to: &text)
    text.append(UInt8(ascii: "\n"))
    return .json(.ok, text: text)
  }

  /// `?group=`, `?since=` an id, `?limit=`: the kept events after the id, the oldest first.
  ///
  /// - Parameter share: grows with the answer, which counts until the client has received it.
  func listHistory(_ request: Request, _ caller: Caller, _ share: MemoryShare) async throws -> Response {
    var query = try RequestQuery(request.uri.query)
    let group = try group(in: &query, caller)
    let since = query.value("since")
    let limit = try query.integer("limit", in: 1...Self.mostEvents) ?? 100
    try query.finish()
    let position = since.flatMap { EventPosition($0) }
    guard since == nil || since == "" || position != nil else {
      throw PublishRefusal(malformed: "\"since\" must be an id: EPOCH.OFFSET")
    }
    guard share.resize(to: 2 * Publisher.largestHistory) else {
      throw Self.busy("there is no memory for more answers with histories")
    }
    switch await publisher.history(of: group, on: layer, behind: position) {
    case .kept(let slice):
      let events = slice.events.prefix(limit)
      let isLast = slice.isLast && events.count == slice.events.count
      let response = Response.json(
        .ok,
        [
          "group": .string(group), "gap": .bool(slice.isGap), "events": .array(events.map(\.publishedJSON)),
          "id": .string((events.last?.position ?? slice.start).description), "more": .bool(!isLast),
        ])
      share.resize(to: response.body.contentLength ?? 0)
      return response.holding(share)
    case .notKept: throw PublishRefusal(.publishNothingThere, "the group \"\(group)\" keeps no history")
    case .unavailable: throw Self.busy("the channel layer is not available")
    }
  }

  private static let mostEvents = 1000

  private func group(in query: inout RequestQuery, _ caller: Caller) throws(PublishRefusal) -> String {
    guard let group = query.value("group"), GroupName.isOpen(group) else {
      throw PublishRefusal(malformed: "the query must name a valid group: ?group=chat_lobby")
    }
    guard mayName(group, caller) else {
      throw PublishRefusal(.publishNotAllowed, "this route may not ask about the group \"\(group)\"")
    }
    return group
  }
}

extension Event {
  /// `{"id": ..., "event": {"type": ..., and its fields}}`, with bytes in the form that the publish API accepts.
  fileprivate var publishedJSON: JSON {
    let type: JSON = ["type": .string(type)]
    let event = type.with(.object(fields.map { .init(key: $0.name, value: $0.value.publishedJSON) }))
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
