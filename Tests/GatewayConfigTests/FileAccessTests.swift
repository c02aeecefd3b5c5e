import Foundation
import TestSupport
import Testing

@testable import GatewayConfig

/// Every file that a configuration names may be something that never ends, or never begins.
final class FileAccessTests {
  private let folder: URL
  private let place: TemporaryFolder

  init() throws {
    place = try TemporaryFolder()
    folder = place.url
    #expect(unsafe mkfifo(path("fifo"), 0o600) == 0)
    #expect(unsafe symlink("/dev/zero", path("zero")) == 0)
    try FileManager.default.createDirectory(
      at: folder.appending(path: "folder"), withIntermediateDirectories: true)
    try Data(count: (8 << 20) + 1).write(to: folder.appending(path: "huge"))
    for (name, _) in Self.odd { #expect(unsafe symlink(path(name), path(name + ".yaml")) == 0) }
    // A socket that nobody accepts on.
    let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(listener) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { place in
      unsafe place.copyBytes(from: Array(path("socket").utf8).prefix(place.count - 1))
    }
    let bound = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
        unsafe bind(listener, pointer, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    #expect(bound == 0)
  }

  private func path(_ name: String) -> String { folder.appending(path: name).path }

  private func findings(_ text: String, isWithoutSecrets: Bool = false) throws -> [String] {
    try Data(text.utf8).write(to: folder.appending(path: "routes.yaml"))
    let report = ConfigurationLoader.load(
      path: path("routes.yaml"), environment: [:], secrets: isWithoutSecrets ? .unread : .read
    ).report
    return report.findings.map { finding in
      "\(finding.range?.start.line ?? 0):\(finding.range?.start.column ?? 0) \(finding.code.rawValue) \(finding.message)"
    }
  }

  private static let odd = [
    ("fifo", "it is a pipe (FIFO), and a file is needed"), ("zero", "it is a device, and a file is needed"),
    ("socket", "it is a socket or a device, and a file is needed"), ("folder", "it is a folder"),
    ("huge", "it is larger than "),
  ]

  private static let places = [
    """
    installed_apps: [echo]
    applications: {main: {websocket: [{path: a, include: FILE.yaml}]}}
    """,
    """
    installed_apps: [echo]
    server: {tls: {certificate: FILE, key: FILE}}
    applications: {main: {websocket: [{path: a, consumer: echo}]}}
    """,
    """
    installed_apps: [echo]
    auth: {users: {jwt: {secret: {file: FILE}, algorithms: [HS256]}}}
    applications: {main: {websocket: [{path: a, consumer: echo}]}}
    """,
    """
    installed_apps: [echo]
    auth: {users: {jwt: {public_key: FILE, algorithms: [RS256]}}}
    applications: {main: {websocket: [{path: a, consumer: echo}]}}
    """,
    """
    installed_apps: [echo]
    auth: {users: {jwt: {jwks: FILE, algorithms: [RS256]}}}
    applications: {main: {websocket: [{path: a, consumer: echo}]}}
    """,
    """
    installed_apps: [echo]
    channel_layers: {default: {backend: redis, config: {hosts: ["rediss://localhost:1/0?ssl_ca_certs=FILE"]}}}
    applications: {main: {websocket: [{path: a, consumer: echo}]}}
    """,
  ]

  @Test(arguments: places)
  func `what is no file, or too large a one, is a finding at its place and keeps nobody waiting`(
    _ place: String
  ) throws {
    for (name, words) in Self.odd {
      let found = try findings(place.replacingOccurrences(of: "FILE", with: name))
      let wanted = "unreadable-file \""
      #expect(
        found.contains {
          $0.contains(wanted) && $0.contains("cannot be read: \(words)") && !$0.hasPrefix("0:")
        },
        "\(name): \(found)")
    }
  }

  @Test(arguments: [
    "server: {tls: {certificate: none.pem, key: FILE}}",
    "server: {tls: {certificate: none.pem, key: {file: FILE}}}",
    "auth: {users: {jwt: {secret: {file: FILE}}}}",
    "channel_layers: {default: {backend: redis, config: {symmetric_encryption_keys: [{file: FILE}]}}}",
  ])
  func `without secrets what is there and can be none is found all the same, and what is not there is not`(
    _ place: String
  ) throws {
    let text =
      "installed_apps: [echo]\napplications: {main: {websocket: [{path: a, consumer: echo}]}}\n" + place
    for (name, _) in Self.odd {
      let found = try findings(text.replacingOccurrences(of: "FILE", with: name), isWithoutSecrets: true)
      #expect(
        found.contains { $0.contains("unreadable-file \"\(name)\" cannot be read: it is ") },
        "\(name): \(found)")
    }
    let absent = try findings(text.replacingOccurrences(of: "FILE", with: "absent"), isWithoutSecrets: true)
    #expect(!absent.contains { $0.contains("absent") }, "\(absent)")
  }

  @Test func `a fallback that a link leads out of its folder is never served, which is a finding`() throws {
    try FileManager.default.createDirectory(
      at: folder.appending(path: "site"), withIntermediateDirectories: true)
    try Data("<h1>".utf8).write(to: folder.appending(path: "site/index.html"))
    try Data("no".utf8).write(to: folder.appending(path: "site-outside.html"))
    for (name, target) in [
      ("passwd", "/etc/passwd"), ("beside", path("site-outside.html")), ("inside", path("site/index.html")),
    ] {
      #expect(unsafe symlink(target, path("site/" + name)) == 0)
    }
    func findings(fallback name: String, in folder: String = "site") throws -> [String] {
      try self.findings(
        "applications: {main: {http: [{path: a/, static: {folder: \(folder), fallback: \(name)}}]}}"
      )
      .filter { $0.contains("unreadable-file") }
    }
    for name in ["passwd", "beside"] {
      let found = try findings(fallback: name)
      #expect(found.count == 1 && found[0].contains("outside of the folder"), "\(found)")
    }
    for name in ["inside", "index.html"] { #expect(try findings(fallback: name) == []) }
    // The folder itself may be a link.
    #expect(unsafe symlink(path("site"), path("link")) == 0)
    #expect(try findings(fallback: "inside", in: "link") == [])
  }

  @Test func `each use of a file has a largest size, and a file of that size is read`() throws {
    for use in FileUse.allCases {
      try Data(count: use.most).write(to: folder.appending(path: "most"))
      #expect(try Disk().contents(of: path("most"), as: use).get().count == use.most)
      try Data(count: use.most + 1).write(to: folder.appending(path: "more"))
      guard case .failure(let fault) = Disk().contents(of: path("more"), as: use) else {
        Issue.record("\(use) is read")
        continue
      }
      #expect(fault.message.hasPrefix("it is larger than"))
    }
  }

  @Test func `a configuration may come through a pipe, and what includes may not`() throws {
    let writer = Thread { [path = path("fifo")] in
      let file = FileHandle(forWritingAtPath: path)
      // More than a pipe holds at a time.
      try? file?.write(contentsOf: Data(repeating: UInt8(ascii: "#"), count: 300_000))
      try? file?.close()
    }
    writer.start()
    #expect(try Disk().contents(of: path("fifo"), as: .configuration).get().count == 300_000)
    for use in FileUse.allCases where use != .configuration {
      #expect(
        Disk().contents(of: path("fifo"), as: use)
          == .failure(FileFault("it is a pipe (FIFO), and a file is needed")))
    }
  }

  @Test func `a name that is not UTF-8 is told from a file that is missing`() {
    // What Swift makes of the byte FF in an argument.
    #expect(
      Disk().contents(of: path("a\u{FFFD}.yaml"))
        == .failure(FileFault("its name is not UTF-8: rename the file")))
    #expect(Disk().contents(of: path("a.yaml")) == .failure(FileFault("there is no such file")))
  }

  @Test func `a pipe that nobody writes to, or that stays open, is given up`() throws {
    var impatient = Disk()
    impatient.patience = .milliseconds(100)
    let late = FileFault("it is a pipe, and its writer has not written all of it and closed it in time")
    #expect(impatient.contents(of: path("fifo")) == .failure(late))
    // Opened for both, so that there is a writer for as long as this lasts.
    let both = unsafe open(path("fifo"), O_RDWR)
    defer { close(both) }
    #expect(impatient.contents(of: path("fifo")) == .failure(late))
    _ = unsafe write(both, "a: b", 4)
    #expect(impatient.contents(of: path("fifo")) == .failure(late))
  }

  @Test func `a pipe that never ends is given up at the largest size`() throws {
    let writer = Thread { [path = path("fifo")] in
      guard let file = FileHandle(forWritingAtPath: path) else { return }
      signal(SIGPIPE, SIG_IGN)
      while (try? file.write(contentsOf: Data(count: 65_536))) != nil {}
    }
    writer.start()
    #expect(Disk().contents(of: path("fifo")) == .failure(FileFault("it is larger than 8 MiB")))
  }
}
