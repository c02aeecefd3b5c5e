import GatewayConfig
import Logging
import Synchronization
import Testing

@testable import Gateway

struct MemoryBoundTests {
  /// The line about a client that was disconnected.
  private func line(route: String?, path: String? = nil) -> String {
    let lines = Mutex<[String]>([])
    let handler = GatewayLogHandler(.text, level: .debug) { line in lines.withLock { $0.append(line) } }
    let bound = MemoryBound(nil, otherwise: 4096, .receiving, log: Logger(label: "test") { _ in handler })
    bound.countEviction(route: route, path: path)
    return lines.withLock(\.self).first ?? ""
  }

  @Test func `a line about a client names what is known of its request`() {
    #expect(line(route: "chat").contains(" route=chat"))
    #expect(line(route: "chat", path: "/ws/a/").contains(" path=/ws/a/ route=chat"))
    let unread = line(route: nil)
    #expect(unread.contains("a client with an unfinished message was disconnected"))
    #expect(!unread.contains("route=") && !unread.contains("path="))
  }
}
