/// What a `RedisLink` keeps: one connection, or several that are of use only together.
public protocol KeptConnection: Sendable {
  /// Whether messages are left unread on purpose. Such a connection is silent without a fault.
  var isPaused: Bool { get }
  /// Returns when the connection has ended.
  func waitUntilClosed() async
  func close()
}

extension RedisConnection: KeptConnection {}

/// Two connections to one server, one for commands and one for the messages of subscriptions, that end together.
package struct RedisConnectionPair: KeptConnection {
  package let commands: RedisConnection
  package let receiver: RedisConnection

  /// Opens both connections.
  package static func connect(_ connector: RedisConnector) async throws(RedisFailure) -> RedisConnectionPair {
    let commands = try await connector.connect()
    do throws(RedisFailure) {
      return RedisConnectionPair(commands: commands, receiver: try await connector.connect())
    } catch {
      commands.close()
      throw error
    }
  }

  package var isPaused: Bool { receiver.isPaused }

  package func waitUntilClosed() async {
    await withDiscardingTaskGroup { tasks in
      tasks.addTask {
        await commands.waitUntilClosed()
        receiver.close()
      }
      await receiver.waitUntilClosed()
      commands.close()
    }
  }

  package func close() {
    commands.close()
    receiver.close()
  }
}
