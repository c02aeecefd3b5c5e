import Foundation
import Glibc
import TestSupport
import Testing

@testable import Transport

struct ListenerTrialTests {
  @Test func `a port in use is found out, and a free one is left free`() throws {
    let first = try Listener.tcp(host: "127.0.0.1", port: 0, reusePort: false, backlog: 1)
    guard case .tcp(_, let port) = first.address else { return }
    for host in ["127.0.0.1", "0.0.0.0"] {
      #expect(throws: TransportFailure.addressInUse) {
        try ListenerTrial.tcp(host: host, port: port, reusePort: false, onlyV6: false)
      }
    }
    _ = consume first
    try ListenerTrial.tcp(host: "127.0.0.1", port: port, reusePort: false, onlyV6: false)
    _ = try Listener.tcp(host: "127.0.0.1", port: port, reusePort: false, backlog: 1)
  }

  @Test func `a group is tried on another file, of which nothing is left`() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("a.sock")
    try ListenerTrial.unix(path: path, group: "\(getegid())")
    try ListenerTrial.give(to: "\(getegid())", path)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    // No file can be made there: the groups of the process decide.
    try ListenerTrial.give(to: "\(getegid())", folder.path("none/a.sock"))
  }

  @Test func `a file made anew has the mode and the group that a socket has`() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("a.sock")
    _ = try Listener.unix(path: path)
    let file = try #require(SocketFile(path: path))
    #expect(try file.freshAccess() == file.access)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["a.sock"])
  }

  @Test func `what cannot become a socket file is found out, and nothing is made or removed`() throws {
    let path = "/tmp/sluice-trial-\(getpid())-\(UInt64.random(in: 0...UInt64.max))"
    try ListenerTrial.unix(path: path, group: nil)
    #expect(SocketFile(path: path) == nil)
    do {
      let listener = try Listener.unix(path: path)
      #expect(throws: TransportFailure.addressInUse) { try ListenerTrial.unix(path: path, group: nil) }
      _ = listener.rawValue
    }
    // Nobody listens there any more.
    let left = SocketFile(path: path)
    try ListenerTrial.unix(path: path, group: nil)
    #expect(left != nil && SocketFile(path: path) == left)
    left?.remove()
    #expect(throws: TransportFailure.notASocket) { try ListenerTrial.unix(path: "/etc/passwd", group: nil) }
    #expect(throws: TransportFailure.self) { try ListenerTrial.unix(path: "/nowhere/at/all", group: nil) }
    #expect(throws: TransportFailure.unknownGroup("no-such-group")) {
      try ListenerTrial.unix(path: path, group: "no-such-group")
    }
  }
}
