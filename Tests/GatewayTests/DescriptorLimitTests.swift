import Foundation
import GatewayConfig
import GatewayTestSupport
import LayerTestSupport
import Logging
import Sessions
import Testing
import Transport

@testable import Gateway

struct DescriptorLimitTests {
  @Test(arguments: [1024, 4096, 65536, 1 << 20])
  func `every connection that is listened to has its descriptors`(_ descriptors: Int) {
    var limit = DescriptorLimit.raise()
    limit.descriptors = descriptors
    for upstream in [0, 1, 3] {
      let connections = limit.connections(upstream: upstream)
      let used = connections * (1 + upstream) + GatewayState.beyond(connections)
      #expect(used + DescriptorLimit.reserve <= descriptors)
      #expect(used > descriptors * 3 / 4)
    }
  }

  @Test func `with few descriptors there are few connections, and room for those that are refused`() throws {
    var limit = DescriptorLimit.raise()
    let configuration = try Self.configuration(connections: 10_000)
    limit.descriptors = 256
    let few = limit.shares(for: configuration, threads: 2)
    #expect(few.extras >= 8)
    #expect((100...180).contains(few.connections))
    let used = few.connections + GatewayState.beyond(few.connections) + 2 * few.extras
    #expect(used + DescriptorLimit.reserve < 256)
    // What the warning says is enough, and not much too much.
    let needed = limit.needed(for: 10_000, of: configuration, threads: 2)
    limit.descriptors = needed
    #expect(limit.shares(for: configuration, threads: 2).connections >= 10_000)
    #expect(needed < 12_000)
  }

  @Test(arguments: [1, 2, 4])
  func `connections and pairs of sockets never need more descriptors than there are`(_ each: Int) {
    let kept = 3
    let room = DescriptorRoom(connections: 100, each: each, keptPairs: kept)
    let most = 100 * each + kept * DescriptorRoom.pair
    #expect(room.forConnections == 100)
    for open in [100, 101] {
      // The pairs that are kept are there however many connections are open.
      for _ in 0..<kept { #expect(room.beginPair(beside: open)) }
      #expect(!room.beginPair(beside: open))
      for _ in 0..<kept { room.pairEnded() }
    }
    for open in stride(from: 100, through: 0, by: -10) {
      var pairs = 0
      while room.beginPair(beside: open) { pairs += 1 }
      #expect(open * each + pairs * DescriptorRoom.pair <= most)
      #expect((open + 1) * each + (pairs + 1) * DescriptorRoom.pair > most)
      #expect(room.forConnections * each + pairs * DescriptorRoom.pair <= most)
      #expect(room.forConnections >= open)
      for _ in 0..<pairs { room.pairEnded() }
    }
    #expect(room.forConnections == 100)
  }

  @Test func `a limit that has no room for what is needed says which one has`() {
    var limit = DescriptorLimit.raise()
    // Beyond everything that the tests have open at the same time, unless that is a lot.
    limit.descriptors = 4096
    #expect(limit.least(for: 16) == nil)
    #expect(limit.least(for: 4096).map { $0 > 4096 && $0 < 8192 } == true)
    limit.descriptors = 0
    #expect(limit.least(for: 40) == 40)
  }

  private static func configuration(connections: Int) throws -> Configuration {
    try ConfigurationLoader.configuration(
      of: """
        installed_apps: [echo]
        limits: {connections: \(connections)}
        applications: {main: {websocket: [{path: ws/, consumer: echo}]}}
        """)
  }
}

struct AcceptFailuresTests {
  @Test func `failures are told at once, and then with their count every ten seconds`() {
    let lines = WrittenLines(.text, level: .info)
    let failures = AcceptFailures(log: lines.log)
    let start = MonotonicTime.now
    failures.record(EMFILE, at: start)
    for _ in 0..<500 { failures.record(EMFILE, at: start + .seconds(5)) }
    failures.record(ENFILE, at: start + .seconds(11))
    let written = lines.all
    #expect(written.count == 2)
    #expect(written.first?.contains("count=1 ") == true)
    #expect(written.last?.contains("count=501 ") == true)
    #expect(failures.total.count == 502)
  }
}
