import Testing
import Transport

@testable import Gateway

struct DescriptorLimitTests {
  @Test(arguments: [1024, 4096, 65536, 1 << 20], [1, 3])
  func `every connection that is listened to has its descriptors`(_ descriptors: Int, _ own: Int) {
    var limit = DescriptorLimit.raise()
    limit.descriptors = descriptors
    for upstream in [0, 1, 3] {
      let connections = limit.connections(own: own, upstream: upstream)
      let used = connections * (own + upstream) + GatewayState.beyond(connections) * own
      #expect(used + DescriptorLimit.reserve <= descriptors)
      #expect(used > descriptors * 3 / 4)
    }
  }
}
