import NIOCore
import RedisClient

/// The commands for taking messages out of queues.
enum QueuePop {
  /// `BZMPOP`, since Redis 7: many with one command.
  case many
  /// `BZPOPMIN`, since Redis 5: one message, and then the others that are there.
  case one

  private static let patience = RedisConnection.patience + .seconds(5)
  private static let most = 200

  /// - Parameter isTrial: whether Redis waits only long enough to see that the command is allowed.
  /// - Returns: the messages, oldest first; empty if none arrived in time.
  func next(
    of keys: [String], isTrial: Bool, on connection: RedisConnection
  ) async throws(RedisFailure) -> [RESPValue] {
    let names = keys.map { RESPArgument($0) }
    switch self {
    case .many:
      let seconds: RESPArgument = isTrial ? "0.01" : "5"
      let arguments = [seconds, .init(keys.count)] + names + ["MIN", "COUNT", .init(Self.most)]
      let reply = try await connection.send(RESPCommand("BZMPOP", arguments), patience: Self.patience)
      guard case .array(let parts) = reply, parts.count == 2, case .array(let entries) = parts[1] else {
        return []
      }
      return entries.compactMap { entry in
        if case .array(let pair) = entry { pair.first } else { nil }
      }
    case .one:
      // Redis 5 accepts whole seconds only, and zero would mean forever.
      let command = RESPCommand("BZPOPMIN", names + [isTrial ? "1" : "5"])
      let reply = try await connection.send(command, patience: Self.patience)
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
