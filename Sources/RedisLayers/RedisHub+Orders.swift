import ChannelLayers
import GatewayConfig
import Logging
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

  /// Routes of this process obey such orders. Otherwise they are read in one layout only, where the other rights include the right to do
  /// so, and after one has come.
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
      if case .refused = error { tellUnreadable("\(error)") }
      return nil
    }
    guard case .array(let parts) = reply else { return nil }
    return stride(from: 0, to: parts.count - 1, by: 2).compactMap { place in
      guard let subject = parts[place].text, let content = parts[place + 1].text else { return nil }
      return KeptOrder(subject: subject, content: content)
    }
  }

  /// It is said once, and is no warning: most gateways have no such orders.
  private func tellUnreadable(_ refusal: String) {
    readsOrders = false
    guard !areOrdersToldUnreadable else { return }
    areOrdersToldUnreadable = true
    log.notice(
      "orders that hold for a time are not read: whom other processes keep out may come in here",
      metadata: [
        "layer": "\(alias)", "detail": "\(refusal)",
        "hint": "give the Redis user +hgetall and ~\(ordersKey), unless no process gives such orders",
      ])
  }

  /// - Returns: whether Redis has carried out all commands.
  private func write(_ commands: [RESPCommand]) async -> Bool {
    let fault = "an order that holds for a time was not kept in Redis"
    // There are such orders.
    readsOrders = true
    guard let connection = shards[0].commands.connection else {
      note(fault, "the channel layer is not available")
      return false
    }
    do throws(RedisFailure) {
      let replies = try await connection.send(commands)
      for case .error(let message) in replies { throw .refused(RedisRefusal(message)) }
      return true
    } catch {
      note(fault, "\(error)")
      return false
    }
  }
}
