import Bytes
import Glibc
import LayerTestSupport
import TestSupport
import Testing
import Transport

@testable import Gateway
@testable import GatewayConfig

struct ListeningSocketsTests {
  private static func listener(_ path: String, mode: UInt32? = nil, group: String? = nil)
    -> ServerConfiguration.Listener
  {
    var options = BindOptions()
    (options.mode, options.group) = (mode, group)
    return .init(address: .unix(path: path), isSecure: false, options: options)
  }

  @Test func `where one socket cannot be given to others, all keep the access that they have`() throws {
    let name = "/tmp/sluice-given-\(getpid())-\(UInt64.random(in: 0...UInt64.max))"
    let paths = [name + "-a", name + "-b"]
    let sockets = try ListeningSockets.open(paths.map { Self.listener($0, mode: 0o600) }, for: 1)
    defer { sockets.discard() }
    let files = paths.compactMap { SocketFile(path: $0) }
    let wanted = [
      Self.listener(paths[0], mode: 0o666), Self.listener(paths[1], mode: 0o666, group: "no-such-group"),
    ]
    #expect(throws: GatewayServer.StartFailure.self) { try sockets.tryChange(to: wanted) }
    let change = try sockets.change(to: wanted)
    #expect(throws: GatewayServer.StartFailure.self) { try change.giveFiles() }
    #expect(files.map(\.mode) == [0o600, 0o600])
    let good = try sockets.change(to: [wanted[0], Self.listener(paths[1], mode: 0o600)])
    #expect(files.map(\.mode) == [0o600, 0o600], "nothing is changed before all else is ready")
    try good.giveFiles()
    #expect(files.map(\.mode) == [0o666, 0o600])
  }

  @Test func `what the file says no more is as for a new socket`() throws {
    let path = "/tmp/sluice-back-\(getpid())-\(UInt64.random(in: 0...UInt64.max))"
    // Only root can give a file to any group.
    let group = geteuid() == 0 ? getegid() + 1 : getegid()
    let sockets = try ListeningSockets.open(
      [Self.listener(path, mode: 0o606, group: "\(group)")], for: 1)
    defer { sockets.discard() }
    let file = try #require(SocketFile(path: path))
    #expect(file.access?.mode == 0o606 && file.access?.group == group)
    let fresh = try file.freshAccess()
    let change = try sockets.change(to: [Self.listener(path)])
    try change.giveFiles()
    #expect(file.access == fresh && fresh.group == getegid())
  }

  /// The same sockets, as the process that takes this one's place has them.
  private static func handed(_ sockets: ListeningSockets) throws -> [InheritedListener] {
    try sockets.inheritable.map { listener in
      var listener = listener
      listener.descriptor = try Descriptor.duplicate(of: listener.descriptor).take()
      var writer = RecordWriter()
      listener.write(to: &writer)
      let read: InheritedListener = try RecordReader.read(writer.bytes[...])
      #expect(read == listener)
      return read
    }
  }

  @Test func `sockets that are taken over get the access that the file says now`() throws {
    let path = "/tmp/sluice-taken-\(getpid())-\(UInt64.random(in: 0...UInt64.max))"
    let before = try ListeningSockets.open([Self.listener(path, mode: 0o666)], for: 3)
    defer { before.discard() }
    let file = try #require(SocketFile(path: path))
    for (mode, expected) in [(UInt32?.some(0o600), 0o600), (nil, try file.freshAccess().mode)] {
      let taken = try ListeningSockets.open(
        [Self.listener(path, mode: mode)], for: 2, inheriting: try Self.handed(before))
      #expect(file.access?.mode == expected)
      #expect(taken.listeners.map(\.count) == [2, 1])
      for listener in taken.listeners.joined() { _ = Descriptor(adopting: listener.descriptor) }
    }
  }

  @Test func `a file that somebody else has put there is not removed, and one that is not wanted is`() throws
  {
    let name = "/tmp/sluice-other-\(getpid())-\(UInt64.random(in: 0...UInt64.max))"
    let paths = [name + "-a", name + "-b"]
    let before = try ListeningSockets.open(paths.map { Self.listener($0) }, for: 1)
    defer { before.discard() }
    // Moved and not removed, so that the other one is not given its number.
    #expect(unsafe rename(paths[0], name + "-moved") == 0)
    defer { _ = unsafe unlink(name + "-moved") }
    let other = try Listener.unix(path: paths[0])
    defer { _ = unsafe unlink(paths[0]) }
    let taken = try ListeningSockets.open(
      [Self.listener(paths[0])], for: 1, inheriting: try Self.handed(before))
    #expect(taken.addresses.map(\.url) == ["unix:\(paths[0])"])
    #expect(SocketFile(path: paths[1]) == nil, "nobody listens there any more")
    #expect(taken.left.map(\.count) == [1], "who waits there is still accepted")
    taken.discard()
    #expect(SocketFile(path: paths[0]) != nil)
    _ = other.rawValue
  }

  @Test func `what the new program could not have is found out, and what is its own is not tried`() throws {
    let folder = try TemporaryFolder()
    let own = try ListeningSockets.open(
      [.init(address: .tcp(host: "127.0.0.1", port: 0), isSecure: false), Self.listener(folder.path("own"))],
      for: 2)
    defer { own.discard() }
    let command = try Listener.tcp(host: "127.0.0.1", port: 0, reusePort: false)
    let taken = try Listener.tcp(host: "127.0.0.1", port: 0, reusePort: false)
    let socket = try Listener.unix(path: folder.path("taken"))
    try folder.write("text", as: "text")
    func address(of listener: borrowing Listener) -> BindAddress {
      if case .tcp(let host, let port) = listener.address {
        .tcp(host: host, port: port)
      } else {
        .unix(path: "")
      }
    }
    guard case .tcp(_, let ownPort)? = own.addresses.first?.address else { return }
    let trial = AddressTrial(listeners: own.inheritable, commands: [address(of: command)], process: 1)
    func refusal(_ bind: [BindAddress], _ admin: AdminAddress = .standard) -> String? {
      var server = ServerConfiguration()
      (server.bind, server.admin) = (bind, admin)
      do throws(GatewayServer.StartFailure) {
        try trial.check(server)
        return nil
      } catch {
        return "\(error)"
      }
    }
    let kept = [BindAddress.tcp(host: "127.0.0.1", port: 0), .unix(path: folder.path("own"))]
    #expect(refusal(kept) == nil)
    #expect(refusal([.tcp(host: "127.0.0.1", port: ownPort)]) == nil, "the same port, and other words")
    #expect(refusal([address(of: command)]) != nil, "it is closed later")
    for bad in [address(of: taken), .unix(path: folder.path("taken")), .unix(path: folder.path("none/a"))] {
      #expect(refusal(kept + [bad])?.hasPrefix("cannot listen on \(bad): ") == true)
    }
    for name in ["text", "taken", "none/a"] {
      let path = folder.path(name)
      #expect(
        refusal(kept, .unix(path: path))?.hasPrefix("cannot listen on unix:\(path), where commands") == true)
    }
    #expect(refusal(kept, .unix(path: folder.path("free"))) == nil)
    #expect(refusal(kept, .unix(path: folder.path("own"))) != nil, "of a process that is not replaced")
    guard case .tcp(let host, let port) = address(of: taken) else { return }
    #expect(refusal(kept, .loopback(host: host, port: port, token: "token")) != nil)
    guard case .tcp(_, let old) = address(of: command) else { return }
    #expect(refusal(kept, .loopback(host: host, port: old, token: "token")) == nil)
    _ = (command.rawValue, taken.rawValue, socket.rawValue)
  }

  @Test func `a socket of the service manager stays, and its unit is named`() throws {
    var lent = InheritedListener(.tcp(host: "127.0.0.1", port: 80), worker: 0, descriptor: 3, isLent: true)
    lent.unit = "web.socket"
    do throws(GatewayServer.StartFailure) {
      try AddressTrial(listeners: [lent], commands: [], process: 1).check(ServerConfiguration())
      Issue.record("it was given up")
    } catch {
      #expect(error.description.contains("127.0.0.1:80 no more, and web.socket holds"))
    }
    #expect(InheritedSockets.name(of: 4, in: ["LISTEN_FDNAMES": "a.socket:b.socket"]) == "b.socket")
    #expect(InheritedSockets.name(of: 5, in: ["LISTEN_FDNAMES": "a.socket:b.socket"]) == nil)
    #expect(InheritedSockets.name(of: 3, in: [:]) == nil)
  }

  @Test func `a socket whose file is gone is opened anew, and that of somebody else is left alone`() throws {
    let path = "/tmp/sluice-gone-\(getpid())-\(UInt64.random(in: 0...UInt64.max))"
    let wanted = [Self.listener(path)]
    let sockets = try ListeningSockets.open(wanted, for: 2)
    defer { sockets.discard() }
    #expect(try sockets.change(to: wanted).opened.isEmpty)
    #expect(unsafe unlink(path) == 0)
    try sockets.tryChange(to: wanted)
    #expect(SocketFile(path: path) == nil, "nothing is changed by trying")
    let change = try sockets.change(to: wanted)
    defer { change.discard() }
    #expect(change.opened.map(\.url) == ["unix:\(path)"])
    #expect(change.kept.isEmpty && change.closed.count == 1 && change.left.isEmpty)
    change.removeFiles()
    #expect(SocketFile(path: path) != nil)
    // For the first ones this is the socket of another process.
    #expect(try sockets.change(to: wanted).opened.isEmpty)
  }
}
