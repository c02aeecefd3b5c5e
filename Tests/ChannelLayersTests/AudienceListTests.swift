import TestSupport
import Testing

@testable import ChannelLayers
@testable import Transport

private struct Deaf: EventRenderer {
  func render(_ event: Event, for address: String?, into frames: SharedBytes) -> Rendering { .ignored }
}

private final class Member: GroupMember {
  func deliver(_ frames: SharedBytes, from offset: Int) -> Delivery { .delivered }
  func fellBehind() {}
  func close(code: UInt16, reason: String) {}
  func undelivered(_ reason: Undelivered) {}
}

private final class Route {}

struct AudienceListTests {
  @Test(arguments: 0..<50)
  func `groups that stay are told once, whatever comes and goes between the parts`(_ seed: UInt64) throws {
    let (thread, _) = try Reactor.start(name: "test") { reactor in
      var random = SplitMix(seed: seed)
      let groups = LocalGroups(reactor: reactor, addresses: SessionAddresses("specific.test!", reactor: 0))
      let routes = [Route(), Route()]
      func join(_ name: String) -> Membership {
        let route = ObjectIdentifier(routes.randomElement(using: &random) ?? routes[0])
        return groups.join(Member(), group: name, route: route, renderer: Deaf())
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
    thread.stop()
    thread.join()
  }
}
