import GatewayConfig
import GatewayTestSupport
import Logging
import Testing

@testable import Sessions

struct MemoryBoundTests {
  /// The line about a client that was disconnected.
  private func line(route: String?, path: String? = nil) -> String {
    let lines = WrittenLines(.text)
    let bound = MemoryBound(nil, otherwise: 4096, .receiving, log: lines.log)
    bound.countEviction(route: route, path: path)
    return lines.all.first ?? ""
  }

  @Test func `a line about a client names what is known of its request`() {
    #expect(line(route: "chat").contains(" route=chat"))
    #expect(line(route: "chat", path: "/ws/a/").contains(" path=/ws/a/ route=chat"))
    let unread = line(route: nil)
    #expect(unread.contains("a client with an unfinished message was disconnected"))
    #expect(!unread.contains("route=") && !unread.contains("path="))
  }
}
