import NIOCore
import RedisClient

/// The commands for taking messages out of queues.
enum QueuePop {
  /// `BZMPOP`, since Redis 7: many with one command.
  case many
  /// `BZPOPMIN`, since Redis 5: one message, and then the others that are there.
  case one

  /// How long Redis waits for a message.
  enum Wait {
    /// Only long enough to see that the command is allowed.
    case hardly
    case long

    fileprivate func seconds(of pop: QueuePop) -> String {
      switch (self, pop) {
      case (.hardly, .many): "0.01"
      // Redis 5 accepts whole seconds only, and zero would mean forever.
      case (.hardly, .one): "1"
      case (.long, _): "5"
      }
    }
  }

  private static let patience = RedisConnection.patience + .seconds(5)
  private static let most = 200

  /// - Returns: the messages, oldest first; empty if none arrived in time.
  func next(
    of keys: [String], _ wait: Wait, on connection: RedisConnection
  ) async throws(RedisFailure) -> [RESPValue] {
    let names = keys.map { RESPArgument($0) }
    let seconds = RESPArgument(wait.seconds(of: self))
    switch self {
    case .many:
      let arguments = [seconds, .init(keys.count)] + names + ["MIN", "COUNT", .init(Self.most)]
      let reply = try await connection.send(RESPCommand("BZMPOP", arguments), patience: Self.patience)
      guard case .array(let parts) = reply, parts.count == 2, case .array(let entries) = parts[1] else {
        return []
      }
      return entries.compactMap { entry in
        if case .array(let pair) = entry { pair.first } else { nil }
      }
    case .one:
      let reply = try await connection.send(
        RESPCommand("BZPOPMIN", names + [seconds]), patience: Self.patience)
      guard case .array(let parts) = reply, parts.count == 3, let key = parts[0].text else { return [] }
      return [parts[1]] + (await rest(of: key, on: connection))
    }
  }

  /// If this fails, the message that was taken must not be lost. The next call reports the failure.
  private func rest(of key: String, on connection: RedisConnection) async -> [RESPValue] {
    guard
      let reply = try? await connection.send(RESPCommand("ZPOPMIN", .init(key), .init(Self.most - 1))),
      case .array(let parts) = reply
    else { return [] }
    return stride(from: 0, to: parts.count, by: 2).map { parts[$0] }
  }
}
