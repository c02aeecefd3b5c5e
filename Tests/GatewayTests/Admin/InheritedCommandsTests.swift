import Bytes
import GatewayConfig
import Glibc
import LayerTestSupport
import TestSupport
import Testing

@testable import Gateway
@testable import Transport

struct InheritedCommandsTests {
  private let folder: TemporaryFolder
  private let place: AdminPlace

  init() throws {
    folder = try TemporaryFolder()
    place = AdminPlace(
      names: [AdminName(of: "/a.yaml"), AdminName(of: "/b.yaml")],
      folders: [RunDirectory(path: folder.path, kind: .given, owner: geteuid())], version: "1")
  }

  /// What the next program gets: descriptors of its own, as the record says.
  private func handed(_ sockets: AdminSockets) throws -> [InheritedCommandSocket] {
    try sockets.inheritable.map { socket in
      var writer = RecordWriter()
      socket.write(to: &writer)
      var read: InheritedCommandSocket = try RecordReader.read(writer.bytes[...])
      #expect(read == socket)
      read.descriptor = try Descriptor.duplicate(of: socket.descriptor).take()
      return read
    }
  }

  private func end(_ sockets: AdminSockets...) {
    for socket in sockets.flatMap(\.all) { _ = Descriptor(adopting: socket.descriptor) }
  }

  private func isOpen(_ descriptor: Int32) -> Bool { fcntl(descriptor, F_GETFD) >= 0 }

  @Test(arguments: [AdminAddress.standard, .unix(path: "")])
  func `the next program has the sockets of the one before, with all their names`(_ kind: AdminAddress) throws
  {
    let wanted = kind == .standard ? kind : .unix(path: folder.path("own.sock"))
    let before = AdminSockets(wanted, at: place)
    let inherited = try handed(before)
    let after = AdminSockets(wanted, at: place, inheriting: inherited)
    #expect(after.refusal == nil && after.missing == nil && after.first == nil)
    #expect(after.all.map(\.files) == before.all.map(\.files))
    #expect(after.all.last?.files.count == 2)
    #expect(after.all.map(\.descriptor) == inherited.map(\.descriptor))
    for socket in after.all { #expect(fcntl(socket.descriptor, F_GETFD) == FD_CLOEXEC) }
    after.remove()
    #expect(after.all.flatMap(\.files).allSatisfy { SocketFile(path: $0.path) == nil })
    end(before, after)
  }

  @Test func `sockets that are not wanted any more are closed, and their files are gone`() throws {
    let path = folder.path("own.sock")
    let before = AdminSockets(.unix(path: path), at: place)
    #expect(before.all.count == 2)
    let inherited = try handed(before)
    let after = AdminSockets(.standard, at: place, inheriting: inherited)
    #expect(after.all.map(\.files) == [before.all[1].files])
    #expect(SocketFile(path: path) == nil && !isOpen(inherited[0].descriptor))
    let last = try handed(after)
    let none = AdminSockets(.nowhere, at: place, inheriting: last)
    #expect(none.all.isEmpty && !isOpen(last[0].descriptor))
    #expect(after.all[0].files.allSatisfy { SocketFile(path: $0.path) == nil })
    end(before, after)
  }

  @Test func `the file that somebody else has put there stays`() throws {
    let path = folder.path("own.sock")
    let before = AdminSockets(.unix(path: path), at: place)
    let inherited = try handed(before)
    _ = unsafe unlink(path)
    let stranger = try Listener.unix(path: path)
    let after = AdminSockets(.nowhere, at: place, inheriting: inherited)
    #expect(SocketFile(path: path) != nil && after.all.isEmpty)
    end(before)
    _ = consume stranger
  }

  @Test func `a socket whose file is gone is made anew, and keeps it`() throws {
    let before = AdminSockets(.standard, at: place)
    let inherited = try handed(before)
    for file in before.all[0].files { _ = unsafe unlink(file.path) }
    let after = AdminSockets(.standard, at: place, inheriting: inherited)
    #expect(after.all.map { $0.files.map(\.path) } == before.all.map { $0.files.map(\.path) })
    #expect(after.all[0].files.allSatisfy { SocketFile(path: $0.path) == $0 })
    #expect(!isOpen(inherited[0].descriptor))
    end(before, after)
  }

  @Test func `a loopback address is taken over, or opened anew where it is another one`() throws {
    let token = Secret("0123456789abcdef")
    let free = try Listener.tcp(host: "127.0.0.1", port: 0, reusePort: false)
    guard case .tcp(_, let port) = free.address else { return }
    _ = consume free
    let wanted = AdminAddress.loopback(host: "127.0.0.1", port: port, token: token)
    let before = AdminSockets(wanted, at: place)
    let inherited = try handed(before)
    let after = AdminSockets(wanted, at: place, inheriting: inherited)
    #expect(after.all.map(\.descriptor) == inherited.map(\.descriptor))
    end(before)
    let last = try handed(after)
    end(after)
    // The same in other words.
    let named = AdminSockets(
      .loopback(host: "localhost", port: port, token: token), at: place, inheriting: last)
    #expect(named.refusal == nil && named.all.count == 2)
    end(named)
  }
}
