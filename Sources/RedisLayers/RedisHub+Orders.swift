import ChannelLayers
import GatewayConfig
import RedisClient

/// Orders that hold for a time: the fields of one hash on the first of the layer's servers. Whoever reads it removes those whose time is
/// over.
extension RedisHub {
  static func ordersKey(_ prefix: String) -> String { "\(prefix):sluice:orders" }
  private var ordersKey: String { Self.ordersKey(configuration.prefix) }
  /// Longer than any order holds, so that a hash that nobody reads any more does not stay for ever. Seconds.
  private static let longestOrder = 400 * 86400

  func keep(_ order: KeptOrder) async -> Bool {
    await write([
      RESPCommand("HSET", .init(ordersKey), .init(order.subject), .init(order.content)),
      RESPCommand("EXPIRE", .init(ordersKey), .init(Self.longestOrder)),
    ])
  }

  func forget(orders subjects: [String]) async -> Bool {
    guard !subjects.isEmpty else { return true }
    return await write([RESPCommand("HDEL", [.init(ordersKey)] + subjects.map { RESPArgument($0) })])
  }

  /// Routes of this process take such orders. Otherwise the right to read them is needed in one layout only, where the other rights include
  /// it, and after one has come.
  func expectOrders() {
    readsOrders = true
  }

  /// - Returns: nil if Redis does not answer, or its user has no right to read them.
  func keptOrders() async -> [KeptOrder]? {
    guard readsOrders, let connection = shards[0].commands.connection else { return nil }
    let reply: RESPValue
    do throws(RedisFailure) {
      reply = try await connection.send(RESPCommand("HGETALL", .init(ordersKey)))
    } catch {
      // Nothing is said of it: most gateways have no such orders. One that is to be kept is told of.
      if case .refused = error { readsOrders = false }
      return nil
    }
    guard case .array(let parts) = reply else { return nil }
    return stride(from: 0, to: parts.count - 1, by: 2).compactMap { place in
      guard let subject = parts[place].text, let content = parts[place + 1].text else { return nil }
      return KeptOrder(subject: subject, content: content)
    }
  }

  /// - Returns: whether Redis has carried out all commands.
  private func write(_ commands: [RESPCommand]) async -> Bool {
    let fault = "an order that holds for a time was not kept in Redis"
    guard let connection = shards[0].commands.connection else {
      note(fault, "the channel layer is not available")
      return false
    }
    do throws(RedisFailure) {
      let replies = try await connection.send(commands)
      for case .error(let message) in replies { throw .refused(RedisRefusal(message)) }
      readsOrders = true
      return true
    } catch {
      note(fault, "\(error)")
      return false
    }
  }
}
