import LayerTestSupport
import TestSupport
import Testing

@testable import ChannelLayers
@testable import Transport

struct AudienceListTests {
  @Test(arguments: 0..<50)
  func `groups that stay are told once, whatever comes and goes between the parts`(_ seed: UInt64) throws {
    try onReactor { reactor in
      var random = SplitMix(seed: seed)
      let groups = LocalGroups(reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: 0))
      let routes = [TestRoute(), TestRoute()]
      func join(_ name: String) -> Membership {
        let route = (routes.randomElement(using: &random) ?? routes[0]).id
        return groups.join(RecordingMember(), group: name, route: route, renderer: DeafRenderer())
      }
      // Of two routes, so that some groups have two audiences.
      let staying = (0..<300).map { join("stays_\($0 / 2)") }
      var others = (0..<300).map { join("goes_\($0)") }
      var counts: [String: Int] = [:]
      var next: Int? = 0
      while let start = next {
        let part = groups.memberCounts(from: start, most: 10) { $0 != "stays_7" }
        #expect(part.counts.count <= 10)
        for (group, members) in part.counts { counts[group, default: 0] += members }
        next = part.next
        for _ in 0..<Int.random(in: 0..<20, using: &random) {
          if Bool.random(using: &random) {
            others.append(join("comes_\(others.count)"))
          } else if let place = others.indices.randomElement(using: &random) {
            groups.leave(others.remove(at: place))
          }
        }
      }
      #expect((0..<150).allSatisfy { counts["stays_\($0)"] == ($0 == 7 ? nil : 2) }, "seed \(seed)")
      for membership in staying + others { groups.leave(membership) }
      #expect(groups.memberCounts(from: 0, most: 1000) { _ in true }.counts.isEmpty)
    }
  }
}
