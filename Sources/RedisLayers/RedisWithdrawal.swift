package import ChannelLayers
import GatewayConfig
package import Logging
import NIOCore
package import NIOPosix
import RedisClient
import Synchronization
import Transport

/// Removes from Redis what a process has written there and nobody goes on with: its memberships and queues, its presence, and its sign of
/// life among the records of sessions, so that other gateways tell the views what it has left.
///
/// It has connections of its own, made with the settings of then. The names are those of one process, and never used again: whatever else is
/// at that place stays.
package struct RedisWithdrawal: Sendable {
  /// How long the servers are tried, all at the same time.
  package static let patience = Duration.seconds(5)
  private static let pause = Duration.milliseconds(250)

  private let remains: LayerRemains
  private let loop: any EventLoop
  private let log: Logger

  package init(_ remains: LayerRemains, on group: MultiThreadedEventLoopGroup, log: Logger) {
    self.remains = remains
    loop = group.next()
    self.log = log
  }

  /// Ends within this time, and sooner if its task is cancelled. What could not be removed is in the log.
  package func run(within time: Duration = Self.patience) async {
    guard !remains.isEmpty else { return }
    await withDiscardingTaskGroup { tasks in
      for host in remains.configuration.hosts { tasks.addTask { await withdraw(from: host, within: time) } }
    }
  }

  private func withdraw(from host: RedisHost, within time: Duration) async {
    let last = Mutex<RedisFailure>(.timeout)
    let isDone = await within(time) {
      while !Task.isCancelled {
        do throws(RedisFailure) {
          try await attempt(at: host)
          return true
        } catch {
          // What ends it with the time says nothing about the server.
          if !Task.isCancelled { last.withLock { $0 = error } }
          guard error.endsConnection else { return false }
          try? await Task.sleep(for: Self.pause)
        }
      }
      return false
    }
    guard isDone == true else { return tellLeft(at: host, last.withLock(\.self)) }
    log.info(
      "what this process had in a channel layer was removed",
      metadata: ["layer": "\(remains.alias)", "host": "\(host)"])
  }

  private func attempt(at host: RedisHost) async throws(RedisFailure) {
    let connection = try await RedisConnector(host: host, eventLoop: loop).connect()
    defer { connection.close() }
    do {
      try await withTaskCancellationHandler {
        try await remove(from: host, on: connection)
      } onCancel: {
        connection.close()
      }
    } catch {
      throw error as? RedisFailure ?? .disconnected
    }
  }

  private func remove(from host: RedisHost, on connection: RedisConnection) async throws(RedisFailure) {
    let configuration = remains.configuration
    if !remains.process.isEmpty {
      try await ProcessRegister(configuration, id: remains.process).withdraw(on: connection)
    }
    if !remains.presence.isEmpty {
      let register = PresenceRegister(
        prefix: configuration.prefix, database: host.database, id: remains.presence)
      try await register.clear(remains.presence, on: connection)
    }
    if !remains.records.isEmpty {
      try await RecordRegister(prefix: configuration.prefix, id: remains.records).leave(on: connection)
    }
  }

  private func tellLeft(at host: RedisHost, _ failure: RedisFailure) {
    var expiring: [String] = []
    if !remains.process.isEmpty {
      expiring.append("memberships in \(remains.configuration.groupExpiry.written)")
    }
    if !remains.presence.isEmpty {
      expiring.append("presence in \(Duration.seconds(PresenceRegister.expiry).written)")
    }
    if !remains.records.isEmpty {
      expiring.append("records of sessions in \(Duration.seconds(RecordRegister.expiry).written)")
    }
    log.warning(
      "what this process had in a channel layer could not be removed",
      metadata: [
        "layer": "\(remains.alias)", "host": "\(host)", "prefix": "\(remains.configuration.prefix)",
        "reason": "\(failure)", "expires": "\(expiring.joined(separator: ", "))",
        "hint": "another gateway that uses the layer there removes it sooner",
      ])
  }
}
