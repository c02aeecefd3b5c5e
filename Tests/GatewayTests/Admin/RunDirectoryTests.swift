import Foundation
import TestSupport
import Testing

@testable import Gateway

struct RunDirectoryTests {
  private static func paths(_ environment: [String: String], user: UInt32 = 1000) -> [String] {
    RunDirectory.all(environment: environment, user: user).map(\.path)
  }

  private static let common = ["/run/user/1000/sluice", "/tmp/sluice-1000"]

  @Test(
    arguments: [
      ([:], ["/run/sluice"] + common),
      (["RUNTIME_DIRECTORY": "/run/gate"], ["/run/gate", "/run/sluice"] + common),
      // systemd names several.
      (["RUNTIME_DIRECTORY": "/run/a:/run/b"], ["/run/a", "/run/sluice"] + common),
      (["RUNTIME_DIRECTORY": "/run/sluice"], ["/run/sluice"] + common),
      (
        ["XDG_RUNTIME_DIR": "/x", "TMPDIR": "/t"],
        [
          "/run/sluice", "/x/sluice", "/run/user/1000/sluice", "/t/sluice-1000", "/tmp/sluice-1000",
        ]
      ),
      (["XDG_RUNTIME_DIR": "/run/user/1000"], ["/run/sluice"] + common),
      // What is relative or empty depends on where a command is called.
      (["RUNTIME_DIRECTORY": "a", "XDG_RUNTIME_DIR": "", "TMPDIR": "t"], ["/run/sluice"] + common),
    ] as [([String: String], [String])])
  func `a gateway looks for a folder in this order`(
    _ environment: [String: String], _ expected: [String]
  ) {
    #expect(Self.paths(environment) == expected)
  }

  @Test func `a command looks there too, and root also where whoever called sudo has theirs`() {
    let own = RunDirectory.searched(environment: ["SUDO_UID": "1000"], user: 33)
    #expect(own == RunDirectory.all(environment: ["SUDO_UID": "1000"], user: 33))
    let root = RunDirectory.searched(environment: ["SUDO_UID": "1000"], user: 0)
    #expect(
      root.map(\.path) == [
        "/run/sluice", "/run/user/0/sluice", "/tmp/sluice-0", "/run/user/1000/sluice", "/tmp/sluice-1000",
      ])
    #expect(root.map(\.owner) == [0, 0, 0, 1000, 1000])
    // And where the owner of the file has them.
    let owned = RunDirectory.searched(environment: [:], user: 0, owner: 33)
    #expect(owned.map(\.path).suffix(2) == ["/run/user/33/sluice", "/tmp/sluice-33"])
    #expect(RunDirectory.searched(environment: ["SUDO_UID": "1000"], user: 0, owner: 1000) == root)
    #expect(RunDirectory.searched(environment: [:], user: 0, owner: 0).map(\.owner) == [0, 0, 0])
    #expect(RunDirectory.searched(environment: [:], user: 33, owner: 1000).allSatisfy { $0.owner == 33 })
  }

  private static func folder(_ path: String, owner: UInt32 = geteuid()) -> RunDirectory {
    RunDirectory(path: path, kind: .temporary, owner: owner)
  }

  @Test func `the folder is made for its user alone`() throws {
    let place = try TemporaryFolder()
    let folder = Self.folder(place.path("sluice-1"))
    try folder.prepare()
    #expect(place.status(of: "sluice-1").st_mode & 0o7777 == 0o700)
    try folder.prepare()
  }

  @Test func `a folder that others decide about is not used`() throws {
    let place = try TemporaryFolder()
    #expect(throws: RunDirectory.Unusable(description: "is not there")) {
      try Self.folder(place.path("none")).check()
    }
    let path = place.path("sluice-1")
    try Self.folder(path).prepare()
    #expect(throws: RunDirectory.Unusable(description: "belongs to the user \(geteuid()), and not to 4711")) {
      try Self.folder(path, owner: 4711).prepare()
    }
    let link = place.path("link")
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: path)
    #expect(throws: RunDirectory.Unusable(description: "is no folder")) { try Self.folder(link).prepare() }
    try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: path)
    #expect(throws: RunDirectory.Unusable(description: "may be written to by other users")) {
      try Self.folder(path).prepare()
    }
  }
}

struct AdminNameTests {
  private static func name(_ path: String) -> String {
    AdminName(of: path).paths(in: RunDirectory(path: "/run", kind: .system, owner: 0))[0]
  }

  @Test func `a name shows the file, and is another one for each path`() {
    #expect(Self.name("/etc/sluice/routes.yaml").hasPrefix("/run/routes-"))
    #expect(Self.name("/etc/sluice/routes.yaml") != Self.name("/etc/other/routes.yaml"))
    #expect(Self.name("/a/../../x y\u{e9}.prod.yaml").hasPrefix("/run/x_y___prod-"))
    let long = Self.name("/" + String(repeating: "r", count: 200) + ".yaml")
    #expect(long.utf8.count == "/run/".utf8.count + 24 + 1 + 8 + ".sock".utf8.count)
  }

  @Test func `each gateway of a file has a path of its own`() {
    let paths = AdminName(of: "/a.yaml").paths(in: RunDirectory(path: "/run", kind: .system, owner: 0))
    #expect(paths.count == 9)
    #expect(Set(paths).count == 9)
    #expect(paths[1] == paths[0].replacing(".sock", with: ".2.sock"))
  }

  @Test func `a path is the same name however it is written, and one through a link has two`() throws {
    let place = try TemporaryFolder()
    try place.write("", as: "real/routes.yaml")
    try FileManager.default.createSymbolicLink(
      atPath: place.path("current"), withDestinationPath: place.path("real"))
    let direct = AdminName.names(of: place.path("real/routes.yaml"))
    #expect(direct.count == 1)
    #expect(AdminName.names(of: place.path + "/real/./a/../routes.yaml").first == direct.first)
    let linked = AdminName.names(of: place.path("current/routes.yaml"))
    #expect(linked.count == 2)
    #expect(linked.last == direct.first)
    // In the working directory it has the name of the system, too.
    let relative = AdminName.names(of: "/proc/self/cwd/none.yaml", also: "none.yaml")
    let folder = FileManager.default.currentDirectoryPath
    #expect(relative == [AdminName(of: "/proc/self/cwd/none.yaml"), AdminName(of: folder + "/none.yaml")])
    // The file need not be there.
    #expect(AdminName.names(of: place.path("none.yaml")).count == 1)
  }
}
