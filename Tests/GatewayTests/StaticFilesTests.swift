import Foundation
import GatewayConfig
import GatewayTestSupport
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import TestSupport
import Testing
import Transport

@testable import Gateway

final class StaticFilesTests {
  private let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder()
    try folder.write("0123456789", as: "a.txt")
  }

  @Test func `a client that has gone while its file was opened is no fault of the file`() async {
    let lines = WrittenLines(.text)
    let files = StaticFiles(
      directory: folder.path, memory: MemoryBudget(total: 1 << 20),
      log: lines.log)
    let request = Request(
      head: HTTPRequest(method: .get, scheme: "http", authority: "a", path: "/a.txt"),
      body: RequestBody(buffer: ByteBuffer()))
    await withTaskGroup(of: Void.self) { group in
      // What is added from here on is cancelled from its start.
      group.cancelAll()
      group.addTask {
        _ = try? await files.respond(to: request, file: "a.txt")
      }
    }
    #expect(lines.all == [])
  }

  @Test func `a link that has come into a path since it was resolved is not followed`() async throws {
    let path = folder.path
    try FileManager.default.createSymbolicLink(
      atPath: path + "/link.txt", withDestinationPath: path + "/a.txt")
    try FileManager.default.createSymbolicLink(atPath: path + "/linked", withDestinationPath: path)
    #expect(try await OpenFile.open(path + "/a.txt")?.version.size == 10)
    #expect(try await OpenFile.open(path + "/link.txt")?.version == nil)
    #expect(try await OpenFile.open(path + "/linked/a.txt")?.version == nil)
    #expect(try await OpenFile.open(path + "/none.txt")?.version == nil)
  }

  private func version() -> FileVersion {
    FileVersion(FileStatus(folder.status(of: "a.txt")))
  }

  @Test func `a version is named by its strong tag, or by its date once that second is over`() throws {
    let seconds = 784_111_777
    func touch(_ nanoseconds: Int) {
      #expect(folder.touch("a.txt", seconds: seconds, nanoseconds: nanoseconds))
    }
    touch(1)
    let version = self.version()
    let date = "Sun, 06 Nov 1994 08:49:37 GMT"
    #expect(version.eTag.wholeMatch(of: /"[0-9a-f]{24}"/) != nil)
    #expect(version.isNamed(by: version.eTag, at: seconds))
    #expect(!version.isNamed(by: "W/" + version.eTag, at: seconds))
    #expect(version.isNamed(by: date, at: seconds + 1) && !version.isNamed(by: date, at: seconds))
    #expect(!version.isNamed(by: "Sun, 06 Nov 1994 08:49:36 GMT", at: seconds + 1))
    touch(2)
    #expect(self.version().eTag != version.eTag && self.version().size == 10)
  }
}
