import Testing
import Transport

@testable import Gateway

struct ForeignListenerTests {
  @Test(
    arguments: [
      // The user of the command, whose process listens, whose file it is, whether it is asked.
      (1000, 1000, 1000, true), (1000, 0, 0, true), (1000, 0, 1001, true), (1000, 1001, 1001, false),
      (0, 0, 0, true), (0, 999, 999, true), (0, 999, 0, false), (0, 999, 998, false), (0, 0, 999, true),
    ] as [(UInt32, UInt32, UInt32, Bool)])
  func `a command asks root, its own user and, as root, the owner of the socket`(
    _ user: UInt32, _ listener: UInt32, _ owner: UInt32, _ isAsked: Bool
  ) {
    let foreign = ForeignListener(
      at: "/run/a.sock", PeerCredentials(process: 7, user: listener), of: owner, for: user)
    #expect((foreign == nil) == isAsked)
    if let foreign {
      #expect("\(foreign)".hasPrefix("on /run/a.sock the process 7 of the user \(listener) listens, "))
    }
  }

  @Test func `nobody is asked whom the system does not name`() {
    #expect(ForeignListener(at: "/run/a.sock", nil, of: 0, for: 0) != nil)
  }
}
