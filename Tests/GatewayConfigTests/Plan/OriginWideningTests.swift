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

  @Test func `a widening is shown, and without one nobody is let in who was not`() {
    var generator = SplitMix(seed: 23)
    var shown = 0
    for _ in 0..<600 {
      let (old, new) = (policy(&generator), policy(&generator))
      if let witness = old.widening(to: new) {
        shown += 1
        #expect(new.allows(origin: witness.origin, host: witness.host))
        #expect(!old.allows(origin: witness.origin, host: witness.host))
        continue
      }
      for origin in Self.origins {
        for host in Self.hosts where new.allows(origin: origin, host: host) {
          #expect(old.allows(origin: origin, host: host), "\(old) -> \(new) at \(origin ?? "none"), \(host)")
        }
      }
    }
    #expect(shown > 100 && shown < 550)
  }
}
