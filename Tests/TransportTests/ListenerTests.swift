import Glibc
import Testing

@testable import Transport

struct ListenerTests {
  @Test func `a port in use is said in words`() throws {
    let first = try Listener.tcp(host: "127.0.0.1", port: 0, reusePort: false, backlog: 1)
    guard case .tcp(_, let port) = first.address else { return }
    #expect(throws: TransportFailure.addressInUse) {
      _ = try Listener.tcp(host: "127.0.0.1", port: port, reusePort: false, backlog: 1)
    }
    #expect(TransportFailure.addressInUse.description == "another process listens there already")
  }

  @Test func `both families have the same port, where each keeps to its own`() throws {
    let v4 = try Listener.tcp(host: "0.0.0.0", port: 0, reusePort: false, backlog: 1)
    guard case .tcp(_, let port) = v4.address else { return }
    #expect(throws: TransportFailure.addressInUse) {
      _ = try Listener.tcp(host: "::", port: port, reusePort: false, backlog: 1)
    }
    let v6 = try Listener.tcp(host: "::", port: port, reusePort: false, onlyV6: true, backlog: 1)
    #expect(v6.address == .tcp(host: "::", port: port))
    _ = v4.rawValue
  }

  @Test func `a socket file that nobody answers on is replaced, one in use is not`() throws {
    let path = temporaryPath()
    defer { SocketFile(path: path)?.remove() }
    do {
      let first = try Listener.unix(path: path)
      #expect(throws: TransportFailure.addressInUse) { _ = try Listener.unix(path: path) }
      _ = first.rawValue
    }
    let second = try Listener.unix(path: path)
    #expect(second.address == .unix(path: path))
  }

  @Test func `the file of a socket has the mode and the group that are asked for`() throws {
    let path = temporaryPath()
    defer { SocketFile(path: path)?.remove() }
    let own = getgid()
    let listener = try Listener.unix(path: path, mode: 0o660, group: "\(own)")
    #expect(SocketFile(path: path)?.mode == 0o660)
    _ = listener.rawValue
    let other = temporaryPath()
    #expect(throws: TransportFailure.unknownGroup("no such group")) {
      _ = try Listener.unix(path: other, group: "no such group")
    }
    // It is not left behind.
    #expect(SocketFile(path: other) == nil)
  }

  @Test func `the file of a later listener is not taken for the one that was bound`() throws {
    let path = temporaryPath()
    let first = try Listener.unix(path: path)
    let file = try #require(SocketFile(path: path))
    _ = first.rawValue
    // Its number cannot be given to the next file while it still has a name.
    #expect(unsafe rename(path, path + ".old") == 0)
    defer { _ = unsafe unlink(path + ".old") }
    let second = try Listener.unix(path: path)
    file.remove()
    #expect(unsafe access(path, F_OK) == 0)
    SocketFile(path: path)?.remove()
    #expect(unsafe access(path, F_OK) != 0)
    _ = second.rawValue
  }

  @Test func `a file that is no socket is left alone`() throws {
    let path = temporaryPath()
    close(unsafe open(path, O_CREAT | O_RDWR, 0o600))
    defer { SocketFile(path: path)?.remove() }
    #expect(throws: TransportFailure.notASocket) { _ = try Listener.unix(path: path) }
    #expect(unsafe access(path, F_OK) == 0)
  }

  @Test(arguments: ["", String(repeating: "x", count: 108), "a\0b"])
  func `a path that the system would cut is refused`(path: String) {
    #expect(throws: TransportFailure.unusablePath) { _ = try Listener.unix(path: path) }
  }

  @Test func `the longest path is bound whole`() throws {
    let path = "/tmp/" + String(repeating: "s", count: 95) + String(10_000 + getpid() % 10_000) + "ab"
    defer { SocketFile(path: path)?.remove() }
    let listener = try Listener.unix(path: path)
    #expect(path.utf8.count == 107)
    #expect(listener.address == .unix(path: path))
  }

  @Test func `several listeners share a port where they all ask for it`() throws {
    let first = try Listener.tcp(host: "127.0.0.1", port: 0, reusePort: true, backlog: 1)
    let address = first.address
    guard case .tcp(let host, let port) = address else { return }
    #expect(host == "127.0.0.1")
    let second = try Listener.tcp(host: host, port: port, reusePort: true, backlog: 1)
    #expect(second.address == address)
  }

  @Test func `a duplicate listens at the same address, under another number`() throws {
    let first = try Listener.tcp(host: "127.0.0.1", port: 0, reusePort: false, backlog: 1)
    let second = try first.duplicate()
    #expect(first.address == second.address)
    #expect(first.rawValue != second.rawValue)
    let adopted = Listener.adopting(second.take())
    #expect(first.address == adopted.address)
  }

  @Test func `a host name that nobody knows is said in words`() {
    do throws(TransportFailure) {
      _ = try Listener.tcp(host: "no host", port: 0, reusePort: false, backlog: 1)
      Issue.record("it cannot be resolved")
    } catch {
      #expect(error.description.hasPrefix("the host name cannot be resolved: "))
    }
  }
}
