import TestSupport
import Testing

@testable import GatewayConfig

struct OriginWideningTests {
  private static let patterns = [
    "a.example", ".a.example", "b.a.example", "*", "https://a.example", "http://a.example",
    "https://a.example:8443", "https://.a.example", "app://a.example", "https://b.a.example",
  ]
  private static let origins: [String?] = [
    nil, "https://a.example", "http://a.example", "https://b.a.example", "http://b.a.example:81",
    "https://a.example:8443", "app://a.example", "https://c.example", "http://d.b.a.example", "null",
  ]
  private static let hosts = ["a.example", "b.a.example", "c.example", "a.example:8443"]

  private func policy(_ generator: inout SplitMix) -> OriginPolicy {
    let count = Int.random(in: 0...3, using: &generator)
    guard count > 0 else { return .sameHost }
    return .patterns((0..<count).map { _ in Self.patterns.randomElement(using: &generator) ?? "*" })
  }

  @Test(arguments: OriginPolicy.Use.allCases)
  func `a widening is shown, and without one nobody is allowed more`(_ use: OriginPolicy.Use) {
    var generator = SplitMix(seed: 23)
    var shown = 0
    for _ in 0..<600 {
      let (old, new) = (policy(&generator), policy(&generator))
      func isWider(_ witness: OriginWitness) -> Bool {
        new.allowance(of: witness, for: use) > old.allowance(of: witness, for: use)
      }
      if let witness = old.widening(to: new, for: use) {
        shown += 1
        #expect(isWider(witness))
        continue
      }
      for origin in Self.origins {
        for host in Self.hosts {
          #expect(
            !isWider(OriginWitness(origin: origin, host: host)),
            "\(old) -> \(new) at \(origin ?? "none"), \(host)")
        }
      }
    }
    #expect(shown > 100 && shown < 550)
  }

  @Test func `what is allowed is what the gateway decides by`() {
    for policy in [OriginPolicy.sameHost, .patterns(["a.example", "*"]), .patterns(["a.example"])] {
      for origin in Self.origins {
        for host in Self.hosts {
          let witness = OriginWitness(origin: origin, host: host)
          let isAllowed = policy.allows(origin: origin, host: host)
          #expect((policy.allowance(of: witness, for: .handshake) == .all) == isAllowed)
          let access = policy.access(origin: origin, host: host, isSecure: false)
          #expect((policy.allowance(of: witness, for: .stream) == .nothing) == (access == .refused))
        }
      }
    }
  }

  private static let partner = OriginPolicy.patterns(["https://partner.example"])
  private static let all = OriginPolicy.patterns(["*"])
  private static let both = OriginPolicy.patterns(["*", "https://partner.example"])

  /// Two policies of an event stream, and whether the second one allows pages more.
  private static let ofPages: [(old: OriginPolicy, new: OriginPolicy, isWider: Bool)] = [
    // Pages of the partner read with cookies, which all could without.
    (all, partner, true), (partner, all, true), (partner, both, true), (both, all, false),
    (both, partner, false), (.patterns(["*", "a.example"]), partner, true),
    // Clients without an Origin, and pages of the request's own host, may always.
    (partner, .sameHost, false), (all, .sameHost, false), (.sameHost, partner, true), (.sameHost, all, true),
  ]

  @Test(arguments: ofPages)
  func `pages are allowed more where they may read, or may use cookies`(
    _ row: (old: OriginPolicy, new: OriginPolicy, isWider: Bool)
  ) {
    #expect((row.old.widening(to: row.new, for: .page) != nil) == row.isWider)
  }
}
