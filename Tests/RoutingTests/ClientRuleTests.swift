import Bytes
import TestSupport
import Testing

@testable import Routing

struct ClientRuleTests {
  private let admin = ClientRule.claim("role", ["admin"])
  private let staff = ClientRule.claim("role", ["staff"])
  private let either = ClientRule.claim("role", ["admin", "staff"])
  private let owner = ClientRule.claim("owner", ["true"])
  private let own = ClientRule.other("rooms = {room}", route: "websocket 1")

  @Test func `rules lead to others that ask for less`() {
    #expect(([admin] as Set).imply(either))
    #expect(!([either] as Set).imply(admin))
    #expect(([admin] as Set).imply(.any([admin, owner])))
    #expect(([.any([admin, staff])] as Set).imply(either))
    #expect(!([.any([admin, owner])] as Set).imply(either))
    #expect(([.any([.all([admin, owner]), .all([staff, owner])])] as Set).imply(owner))
    #expect(([.any([admin, owner])] as Set).imply(.any([owner, staff, admin])))
    #expect(([admin, owner] as Set).imply(.all([either, owner])))
    #expect(!([admin] as Set).imply(.all([either, owner])))
    #expect(!([] as Set<ClientRule>).imply(admin))
  }

  @Test func `what depends on the path is the same on one route only`() {
    #expect(([own] as Set).imply(own))
    #expect(!([own] as Set).imply(.other("rooms = {room}", route: "websocket 2")))
  }

  @Test
  func `what depends on a place that the names of the groups say is the same wherever names are made so`() {
    func asked(_ route: String, names: String?) -> ClientRule {
      .other("callback", route: RulePlace(route: route, names: names))
    }
    #expect(([asked("1", names: "room_{room}")] as Set).imply(asked("2", names: "room_{room}")))
    #expect(!([asked("1", names: "room_{room}")] as Set).imply(asked("2", names: "{room}")))
    #expect(!([asked("1", names: nil)] as Set).imply(asked("2", names: nil)))
    #expect(([asked("1", names: nil)] as Set).imply(asked("1", names: "{room}")))
  }

  @Test func `claims and values are compared by their code points`() {
    let (composed, decomposed): (ExactText, ExactText) = ("caf\u{E9}", "cafe\u{301}")
    #expect(([.claim("role", [composed])] as Set).imply(.claim("role", [composed, decomposed])))
    #expect(!([.claim("role", [decomposed])] as Set).imply(.claim("role", [composed])))
    #expect(!([.claim(decomposed, ["1"])] as Set).imply(.claim(composed, ["1"])))
    #expect(!([.other(decomposed, route: "a")] as Set).imply(.other(composed, route: "a")))
    let one = AdmittedClients.authenticated(by: "jwt", require: [decomposed: ["1"]])
    #expect(!one.isWithin(.authenticated(by: "jwt", require: [composed: ["1"]])) && one.isWithin(one))
  }

  /// Rules over two claims, each of which has two values that `String` considers equal, or none.
  @Test func `rules lead to others only where every client that is by them is by the other, too`() {
    let texts: [ExactText?] = [nil, "\u{E9}", "e\u{301}"]
    let clients = texts.flatMap { first in texts.map { [first, $0] } }
    let claims: [ExactText] = ["\u{E5}", "a\u{30A}"]
    func holds(_ rule: ClientRule, for client: [ExactText?]) -> Bool {
      switch rule {
      case .claim(let claim, let values): client[claim == claims[0] ? 0 : 1].map(values.contains) ?? false
      case .any(let rules): rules.contains { holds($0, for: client) }
      case .all(let rules): rules.allSatisfy { holds($0, for: client) }
      case .other(let words, _): client[0] == words
      }
    }
    var generator = SplitMix(seed: 14)
    func rule(_ depth: Int) -> ClientRule {
      let kind = Int.random(in: 0..<(depth == 0 ? 3 : 5), using: &generator)
      let parts = Set((0..<2).map { _ in depth == 0 ? .claim(claims[0], []) : rule(depth - 1) })
      let value = texts.compactMap(\.self).randomElement(using: &generator) ?? ""
      switch kind {
      case 0: return .other(value, route: "a")
      case 1, 2:
        let values = texts.compactMap(\.self).filter { _ in Bool.random(using: &generator) } + [value]
        return .claim(claims[kind - 1], Set(values))
      case 3: return .any(parts)
      default: return .all(parts)
      }
    }
    var implied = 0
    for _ in 0..<5000 {
      let (own, other) = (Set((0..<2).map { _ in rule(2) }), rule(2))
      guard own.imply(other) else { continue }
      implied += 1
      let isSo = clients.allSatisfy { client in
        !own.allSatisfy { holds($0, for: client) } || holds(other, for: client)
      }
      #expect(isSo, "\(own.map(\.description)) / \(other)")
    }
    #expect(implied > 200)
  }

  @Test func `clients are within others that have to fulfil less`() {
    let all = AdmittedClients.authenticated(by: "jwt")
    let some = AdmittedClients.authenticated(by: "jwt", require: ["role": ["admin"]], also: [own])
    #expect(some.isWithin(all) && !all.isWithin(some))
    #expect(some.isWithin(.authenticated(by: "jwt", also: [.any([either, owner])])))
    #expect(!some.isWithin(.authenticated(by: "another")))
  }
}
