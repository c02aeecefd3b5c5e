import Foundation
import GatewayConfig
import NIOPosix
import RedisClient
import TestSupport
import Testing

/// A redis-server of a test, on a Unix socket. It stores nothing.
final class LocalRedis {
  /// The program; nil where there is none.
  static let program = ["/usr/bin", "/usr/local/bin"].map { "\($0)/redis-server" }.first {
    FileManager.default.isExecutableFile(atPath: $0)
  }

  private let folder: TemporaryFolder
  private let server = Process()

  init() throws {
    folder = try TemporaryFolder()
    guard let program = Self.program else { return }
    server.executableURL = URL(filePath: program)
    server.arguments = [
      "--port", "0", "--unixsocket", folder.path("s"), "--save", "", "--dir", folder.path,
    ]
    server.standardOutput = FileHandle.nullDevice
    try server.run()
  }

  // The server was started on a thread that blocks signals, and so it blocks them too, except this one.
  deinit { if server.isRunning { kill(server.processIdentifier, SIGKILL) } }

  var socket: String { folder.path("s") }

  /// A connection to it, which has just been started.
  func connection() async throws -> RedisConnection {
    let connector = RedisConnector(
      host: RedisHost(.unix(path: socket)), eventLoop: MultiThreadedEventLoopGroup.singleton.next())
    var opened: RedisConnection?
    for _ in 0..<2000 where opened == nil {
      opened = try? await connector.connect()
      if opened == nil { try await Task.sleep(for: .milliseconds(10)) }
    }
    return try #require(opened)
  }
}
