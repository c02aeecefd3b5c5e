import Glibc
import Testing

@testable import Transport

struct InheritedSocketsTests {
  private func environment(_ count: Int, process: Int32 = getpid()) -> [String: String] {
    ["LISTEN_FDS": "\(count)", "LISTEN_PID": "\(process)"]
  }

  @Test func `a socket that was opened for the process is found by its address, by name too`() throws {
    let listener = try Listener.tcp(host: "127.0.0.1", port: 0, reusePort: false, backlog: 1)
    guard case .tcp(_, let port) = listener.address else { return }
    let raw = listener.take()
    var sockets = try InheritedSockets(from: environment(1), first: raw)
    #expect(sockets.endpoints == [.tcp(host: "127.0.0.1", port: port)])
    #expect(fcntl(raw, F_GETFD) == FD_CLOEXEC)
    #expect(sockets.take(host: "127.0.0.1", port: port + 1)?.rawValue == nil)
    #expect(sockets.take(path: "/127.0.0.1")?.rawValue == nil)
    let taken = sockets.take(host: "localhost", port: port)?.take()
    #expect(taken == raw)
    #expect(sockets.endpoints.isEmpty)
    #expect(sockets.take(host: "127.0.0.1", port: port)?.rawValue == nil)
    _ = Descriptor(adopting: raw)
  }

  @Test func `a Unix socket is found by its path, and closed if nobody takes it`() throws {
    let path = temporaryPath()
    defer { SocketFile(path: path)?.remove() }
    let raw = try Listener.unix(path: path).take()
    do {
      let sockets = try InheritedSockets(from: environment(1), first: raw)
      #expect(sockets.endpoints == [.unix(path: path)])
    }
    // Nobody listens any more.
    let again = try Listener.unix(path: path)
    #expect(again.address == .unix(path: path))
  }

  @Test func `what is for another process, or no number, is left alone`() throws {
    let listener = try Listener.tcp(host: "127.0.0.1", port: 0, reusePort: false, backlog: 1)
    for environment in [
      [:], environment(1, process: getppid()), environment(0), environment(-1),
      ["LISTEN_FDS": "many", "LISTEN_PID": "\(getpid())"], ["LISTEN_FDS": "1"],
    ] {
      let sockets = try InheritedSockets(from: environment, first: listener.rawValue)
      #expect(sockets.endpoints.isEmpty)
    }
  }

  @Test func `a descriptor that does not listen is refused`() throws {
    let pair = try Descriptor.socketPair()
    #expect(throws: TransportFailure.self) {
      _ = try InheritedSockets(from: environment(1), first: pair.0)
    }
    #expect(throws: TransportFailure.self) {
      _ = try InheritedSockets(from: environment(1), first: 1_000_000)
    }
    for raw in [pair.0, pair.1] { _ = Descriptor(adopting: raw) }
  }
}
