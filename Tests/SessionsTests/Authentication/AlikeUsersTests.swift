import Consumers
import JSON
import Testing
import WebSocketCore

@testable import Sessions

/// Names that `String` takes for equal, and that are different users.
struct AlikeUsersTests {
  private final class Somebody: UserSession {
    let identity: Identity?

    init(_ user: String) {
      identity = Identity(user: user, claims: .object([]))
    }

    func close(_ reason: CloseReason) {}
  }

  @Test(arguments: [("\u{E9}", "e\u{301}"), ("K", "\u{212A}")])
  func `the sessions of one are not those of the other`(one: String, other: String) {
    let identities = WorkerIdentities()
    let (first, second) = (Somebody(one), Somebody(other))
    identities.add(first)
    #expect(identities.sessions(of: other).isEmpty)
    identities.add(second)
    identities.remove(first)
    #expect(identities.sessions(of: one).isEmpty)
    #expect(identities.sessions(of: other).map { ObjectIdentifier($0) } == [ObjectIdentifier(second)])
  }
}
