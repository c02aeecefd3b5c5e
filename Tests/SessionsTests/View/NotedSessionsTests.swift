import ChannelLayers
import Testing

@testable import Sessions

struct NotedSessionsTests {
  private let first = NotedRecords()
  private let second = NotedRecords()

  @Test func `each session is where its record was moved last`() {
    var sessions = NotedSessions()
    #expect(sessions.move("a", to: first) == nil)
    #expect(sessions.move("b", to: first) == nil)
    #expect(sessions.move("a", to: first) == nil)
    #expect(sessions.move("a", to: second) === first)
    #expect(sessions.move("b", to: nil) === first)
    #expect(sessions.count == 2 && sessions.addresses.sorted() == ["a", "b"])
    #expect(sessions.remove("a") === second)
    #expect(sessions.remove("b") == nil)
    #expect(sessions.isEmpty && sessions.count == 0)
  }

  @Test func `what is not there is removed from nowhere`() {
    var sessions = NotedSessions()
    #expect(sessions.move("a", to: first) == nil)
    #expect(sessions.remove("b") == nil)
    #expect(!sessions.isEmpty && sessions.remove("a") === first)
  }
}
