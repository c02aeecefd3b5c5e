import TestSupport
import Testing

@testable import Gateway

struct GroupPageTests {
  @Test(arguments: [1, 7, 100, 1001])
  func `the first names are found, in whatever order they come, with the sums of their parts`(_ count: Int) {
    var random = SplitMix(seed: UInt64(count))
    let names = (0..<5000).map { "chat_\($0)" }
    var page = GroupPage(first: count)
    for name in (names + names).shuffled(using: &random) where page.mayHold(name) { page.add(2, of: name) }
    let found = page.groups
    #expect(found.map(\.name) == Array(names.sorted().prefix(count)))
    #expect(found.allSatisfy { $0.sessions == 4 })
    #expect(page.last != nil)
  }

  @Test func `few names are all of them`() {
    var page = GroupPage(first: 10)
    for name in ["b", "a", "b"] { page.add(1, of: name) }
    #expect(page.groups.map(\.name) == ["a", "b"])
    #expect(page.groups.map(\.sessions) == [1, 2])
    #expect(page.last == nil)
  }
}
