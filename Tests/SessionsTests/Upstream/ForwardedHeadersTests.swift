import Testing

@testable import Sessions

struct ForwardedHeadersTests {
  @Test func `what only the gateway may say is not taken from a client`() {
    let rules = ForwardedHeaders(connection: ["X-Own"])
    for name in [
      "x-sluice-user", "x-sluice-claims", "x-sluice-anything", "x-forwarded-for", "x-real-ip",
      "x_sluice_user",
      "x-own",
    ] { #expect(!rules.passesRequest(name), "\(name)") }
    for name in ["cookie", "x-sluices", "authorization"] { #expect(rules.passesRequest(name), "\(name)") }
  }
}
