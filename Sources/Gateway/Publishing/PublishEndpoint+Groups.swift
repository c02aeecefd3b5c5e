import ChannelLayers
import GatewayConfig
import HTTPTypes
import Hummingbird
import JSON
import Routing

// What is told of groups; none of it changes anything.

extension PublishEndpoint {
  private static let mostGroups = 1000

  /// `?prefix=`, `?after=` the last name of the page before, `?limit=`.
  func listGroups(_ request: Request, _ caller: Caller) async throws -> Response {
    var query = try RequestQuery(request.uri.query)
    let prefix = query.value("prefix") ?? ""
    let after = query.value("after") ?? ""
    let limit = try query.integer("limit", in: 1...Self.mostGroups) ?? Self.mostGroups
    try query.finish()
    let counts = await publisher.groups(on: layer) { $0.hasPrefix(prefix) && (after.isEmpty || $0 > after) }
    let names = counts.keys.filter { mayName($0, caller) }.sorted()
    let groups = names.prefix(limit).map { name in
      JSON.object([
        .init(key: "group", value: .string(name)),
        .init(key: "sessions", value: .integer(Int64(counts[name] ?? 0))),
      ])
    }
    let next = names.count > limit ? JSON.string(names[limit - 1]) : .null
    return .json(
      .ok, .object([.init(key: "groups", value: .array(groups)), .init(key: "next", value: next)]))
  }

  /// `?group=`: who is in the group, in all processes on the layer.
  func listPresent(_ request: Request, _ caller: Caller) async throws -> Response {
    var query = try RequestQuery(request.uri.query)
    let group = try group(in: &query, caller)
    try query.finish()
    guard gateway.layers.presences[layer] != nil else {
      throw PublishRefusal(.notFound, "no route of this channel layer has \"presence\"")
    }
    guard let list = await gateway.layers.presence(of: group, in: configuration.layer) else {
      throw PublishRefusal(
        .serviceUnavailable, "who is there cannot be told now", fields: [.retryAfter: "1"])
    }
    var text: [UInt8] = []
    list.appendJSON(to: &text)
    text.append(UInt8(ascii: "\n"))
    return .json(.ok, text: text)
  }

  private func group(in query: inout RequestQuery, _ caller: Caller) throws(PublishRefusal) -> String {
    guard let group = query.value("group"), GroupTemplate.isOpen(group) else {
      throw PublishRefusal(.badRequest, "the query names a group: ?group=chat_lobby")
    }
    guard mayName(group, caller) else {
      throw PublishRefusal(
        .forbidden, "the group \"\(group)\" is not one that this route may ask about")
    }
    return group
  }
}
