package import Gateway
package import GatewayConfig

extension GatewayServer {
  /// Serves for as long as the body runs, which gets the port of the first address. Where it throws, all is closed at once.
  package func serving<Result: Sendable>(_ body: (_ port: Int) async throws -> Result) async throws -> Result
  {
    let (ports, found) = AsyncStream<Int>.makeStream()
    return try await withThrowingTaskGroup(of: Void.self) { tasks in
      tasks.addTask {
        defer { found.finish() }
        try await self.run { addresses in
          if case .tcp(_, let port)? = addresses.first?.address { found.yield(port) }
          found.finish()
        }
      }
      guard let port = await ports.first(where: { _ in true }) else {
        try await tasks.waitForAll()
        throw ServesNoPort()
      }
      do {
        let result = try await body(port)
        stop()
        try await tasks.waitForAll()
        return result
      } catch {
        stopNow()
        throw error
      }
    }
  }

  private struct ServesNoPort: Error {}
}

extension Configuration {
  /// The same, on a free port of this machine.
  package var onAnyPort: Configuration {
    var configuration = self
    configuration.server.bind = [.tcp(host: "127.0.0.1", port: 0)]
    return configuration
  }
}
