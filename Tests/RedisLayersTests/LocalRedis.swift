import Foundation
import TestSupport

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
}
