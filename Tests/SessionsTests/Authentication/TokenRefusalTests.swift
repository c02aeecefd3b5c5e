import Testing
import WebSocketCore

@testable import Sessions

struct TokenRefusalTests {
  private func ending(_ refusal: AuthRefusal, isFirst: Bool) -> String {
    guard let ending = refusal.ending(isFirst: isFirst) else { return "goes on" }
    return "\(ending.reason.code.rawValue) \(ending.reason.text)"
  }

  private func ofView(_ row: Refusal, _ status: Int) -> AuthRefusal {
    AuthRefusal(answer: row.answering(status, [], body: []))
  }

  @Test func `too many questions to a view are no limit of the user's`() {
    let busy = AuthRefusal(answer: .tooManyForCallback)
    #expect(ending(busy, isFirst: true) == "1013 authentication is temporarily unavailable")
    #expect(ending(busy, isFirst: false) == "goes on")
    let often = AuthRefusal(answer: .userOverLimit(retryAfter: 3))
    #expect(ending(often, isFirst: true) == "4429 this user connects too often; try again later")
  }

  @Test func `a client is told whether its claims or a view refused it`() {
    let isFirst = true
    #expect(ending(.notAllowed, isFirst: isFirst) == "4403 the claims of the token do not allow this")
    for (row, status) in [(Refusal.forbiddenByCallback, 403), (.notFoundByCallback, 404)] {
      #expect(
        ending(ofView(row, status), isFirst: isFirst) == "4403 this user is not allowed to use this path")
    }
    #expect(ending(.permissionOver, isFirst: isFirst) == "4403 this user is not allowed to use this path")
  }

  @Test func `only a first token ends a session by not being valid`() {
    #expect(ending(.badToken("it is odd"), isFirst: true) == "4401 it is odd")
    #expect(ending(.badToken("it is odd"), isFirst: false) == "goes on")
  }
}
