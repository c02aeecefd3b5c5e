import Bytes
import Synchronization
import Testing

@testable import Sessions

/// A clock that the test moves.
private final class Clock: Sendable {
  let time = Mutex(1000.0)
  func move(by seconds: Double) { time.withLock { $0 += seconds } }
  var orders: StandingOrders { StandingOrders { [self] in time.withLock { $0 } } }
}

private func order(
  _ kind: StandingOrder.Kind = .disconnect, user: String? = nil, group: String? = nil, until: Double = 1600,
  reason: String = "why"
) -> StandingOrder {
  let subject = StandingOrder.Subject(kind, user: user.map { ExactText(text: $0) }, group: group)
  return StandingOrder(subject, until: until, reason: reason)
}

struct StandingOrdersTests {
  @Test func `an order holds for its user and its group, until its time is over`() {
    let clock = Clock()
    let orders = clock.orders
    #expect(orders.order(.disconnect, for: "5", in: ["a"]) == nil)
    let all = [
      order(user: "5"), order(user: "6", group: "a"), order(group: "b", until: 1300), order(.mute, user: "7"),
    ]
    for order in all { #expect(orders.add(order)) }
    #expect(orders.order(.disconnect, for: "5", in: []) == all[0])
    #expect(orders.order(.disconnect, for: "6", in: []) == nil)
    #expect(orders.order(.disconnect, for: "6", in: ["x", "a"]) == all[1])
    #expect(orders.order(.disconnect, for: nil, in: ["a"]) == nil)
    #expect(orders.order(.disconnect, for: nil, in: ["b"]) == all[2])
    #expect(orders.order(.disconnect, for: "7", in: ["a"]) == nil)
    #expect(orders.order(.mute, for: "7", in: ["a"]) == all[3])
    #expect(orders.all(.disconnect) == [all[2], all[0], all[1]])
    clock.move(by: 300)
    #expect(orders.order(.disconnect, for: nil, in: ["b"]) == nil)
    #expect(orders.all(.disconnect) == [all[0], all[1]])
    #expect(orders.remove(all[0].subject) && !orders.remove(all[0].subject))
    #expect(orders.order(.disconnect, for: "5", in: []) == nil)
  }

  @Test func `of several orders for a session, the one that ends last counts`() {
    let orders = Clock().orders
    let all = [
      order(.mute, user: "5", until: 1001), order(.mute, group: "a", until: 1600),
      order(.mute, user: "5", group: "b", until: 1700),
    ]
    for order in all { orders.add(order) }
    #expect(orders.order(.mute, for: "5", in: []) == all[0])
    #expect(orders.order(.mute, for: "5", in: ["a"]) == all[1])
    #expect(orders.order(.mute, for: "5", in: ["a", "b"]) == all[2])
    orders.remove(all[0].subject)
    #expect(orders.order(.mute, for: "5", in: ["a"]) == all[1])
  }

  @Test func `the table is bounded, and orders that are over make room`() {
    let clock = Clock()
    let orders = clock.orders
    for number in 0..<StandingOrders.most { #expect(orders.add(order(user: "\(number)"))) }
    #expect(!orders.add(order(user: "one more")))
    // An order of the same subject takes no room.
    #expect(orders.add(order(user: "5", reason: "another")))
    clock.move(by: 600)
    #expect(orders.add(order(user: "one more", until: 9999)))
    #expect(orders.all(.disconnect).count == 1)
  }

  @Test func `it is told how many orders of a layer there is no room for`() {
    let clock = Clock()
    let orders = clock.orders
    orders.add(order(user: "0"))
    var told: [Int] = []
    let kept = (0..<StandingOrders.most + 7).map { order(user: "\($0)") }
    for some in [kept, kept, Array(kept.prefix(5))] {
      _ = orders.replace(by: some, asked: 1001) { told.append($0) }
    }
    #expect(told == [7, 7, 0])
  }

  @Test func `what a layer keeps replaces what is known, but for orders on their way to it`() {
    let clock = Clock()
    let orders = clock.orders
    orders.add(order(user: "lifted elsewhere"), isKept: true)
    orders.add(order(user: "stays"), isKept: true)
    clock.move(by: 100)
    orders.add(order(user: "on its way"), isKept: true)
    let kept = [order(user: "stays"), order(user: "new"), order(user: "over", until: 1050)]
    #expect(orders.replace(by: kept, asked: 1101) == [order(user: "new")])
    #expect(orders.all(.disconnect).compactMap(\.subject.user?.text) == ["new", "on its way", "stays"])
    #expect(orders.replace(by: kept, asked: 1101) == [])
  }

  @Test func `an order that no layer keeps stays, and is written again`() {
    let clock = Clock()
    let orders = clock.orders
    orders.add(order(user: "5"))
    orders.add(order(user: "6"))
    orders.add(order(user: "7", until: 1050))
    // Every worker adds it, and so does the event that comes back.
    orders.add(order(user: "6"), isKept: true)
    orders.add(order(user: "6"))
    clock.move(by: 100)
    #expect(orders.unkept == [order(user: "5")])
    #expect(orders.replace(by: [order(user: "5", reason: "of another")], asked: 1101) == [])
    #expect(orders.all(.disconnect) == [order(user: "5")])
    #expect(orders.keeps(order(user: "5")) && orders.unkept == [])
    #expect(!orders.keeps(order(user: "lifted meanwhile")))
    // Another order about the same user may have been overwritten in the layer.
    orders.add(order(user: "5", reason: "newer"))
    #expect(orders.keeps(order(user: "5")) && orders.unkept == [order(user: "5", reason: "newer")])
    #expect(orders.keeps(order(user: "5", reason: "newer")))
    clock.move(by: 100)
    #expect(orders.replace(by: [], asked: 1201) == [])
    #expect(orders.all(.disconnect) == [])
  }

  @Test func `what was lifted does not come back from a layer that did not hear of it`() {
    let clock = Clock()
    let orders = clock.orders
    for user in ["5", "6", "7"] { orders.add(order(user: user), isKept: true) }
    #expect(orders.remove(order(user: "5").subject))
    #expect(orders.remove(order(user: "6").subject, isForgotten: true))
    // One that this process has not heard of itself, and one that another process sees to.
    #expect(!orders.remove(order(user: "8").subject))
    #expect(!orders.remove(order(user: "9").subject, isKnown: true))
    #expect(Set(orders.unforgotten.map(\.user?.text)) == ["5", "8"])
    clock.move(by: 100)
    let kept = ["5", "7", "8", "9"].map { order(user: $0) }
    #expect(kept.map(orders.isLifted) == [true, false, true, false])
    #expect(orders.replace(by: kept, asked: 1101) == [order(user: "9")])
    // A newer order about the same user is another one.
    let newer = order(user: "5", reason: "again")
    #expect(!orders.isLifted(newer) && orders.replace(by: kept + [newer], asked: 1102) == [newer])
    orders.forgotten([order(user: "5").subject])
    #expect(orders.unforgotten.map(\.user?.text) == ["8"])
    // One that is given here is not lifted any more.
    orders.add(order(user: "8"))
    #expect(orders.unforgotten == [])
  }

  @Test func `what was lifted is lifted in the process that takes over, too`() throws {
    let clock = Clock()
    let orders = clock.orders
    orders.add(order(user: "5"), isKept: true)
    for user in ["5", "6"] { orders.remove(order(user: user).subject) }
    let next = clock.orders
    next.resume(
      try orders.lifts.map { lift in
        var writer = RecordWriter()
        lift.write(to: &writer)
        return try RecordReader.read(writer.bytes[...], as: StandingOrders.Lift.self)
      })
    let kept = ["5", "6", "7"].map { order(user: $0) }
    #expect(kept.map(next.isLifted) == [true, true, false])
    #expect(Set(next.unforgotten.map(\.user?.text)) == ["5", "6"])
    #expect(next.replace(by: kept, asked: 1101) == [kept[2]])
  }

  @Test func `a lift ends what was given before it, and nothing that another process has given since then`() {
    let clock = Clock()
    let orders = clock.orders
    func given(_ user: String, at time: Double) -> StandingOrder {
      var one = order(user: user, reason: "at \(time)")
      one.given = time
      return one
    }
    // One of which this process has not heard, and one of which it knows an older order.
    orders.remove(order(user: "5").subject)
    orders.add(given("6", at: 990), isKept: true)
    #expect(orders.all(.disconnect).map(\.given) == [990])
    #expect(orders.remove(order(user: "6").subject))
    // As each worker does.
    orders.remove(order(user: "6").subject, isKnown: true)
    for user in ["5", "6"] {
      #expect(
        [980, 990, 1000, 1001].map { orders.isLifted(given(user, at: $0)) } == [true, true, true, false])
    }
    clock.move(by: 100)
    let newer = given("5", at: 1050)
    #expect(orders.replace(by: [newer, given("6", at: 999)], asked: 1101) == [newer])
    // A lift is later than what was given meanwhile.
    orders.remove(newer.subject)
    #expect(orders.isLifted(given("5", at: 1099)))
    clock.move(by: 86_400)
    #expect(orders.unforgotten == [])
  }

  @Test func `while a layer does not answer, orders come and none is lifted`() {
    let clock = Clock()
    let orders = clock.orders
    orders.add(order(user: "5"), isKept: true)
    orders.add(order(user: "6"), isKept: true)
    clock.move(by: 100)
    let kept = [
      order(user: "6", reason: "newer"), order(user: "7"), order(user: "7", reason: "of another layer"),
    ]
    #expect(orders.replace(by: kept, asked: 1101, isWhole: false) == Array(kept[..<2]))
    #expect(Set(orders.all(.disconnect).map(\.reason)) == ["why", "newer"])
    #expect(orders.all(.disconnect).count == 3)
    #expect(orders.replace(by: kept, asked: 1102, isWhole: false) == [])
  }

  @Test func `an order is the same after it was text`() {
    let all = [
      order(user: "a\"é\n"), order(user: "e\u{301}/\u{0}\u{7f}\u{2028}\\"), order(user: "\u{10ff80}😀"),
      order(.mute, group: "g", until: 1600.25), order(user: "5", group: "g"),
    ]
    for order in all {
      #expect(StandingOrder.Subject(order.subject.text) == order.subject)
      #expect(StandingOrder(order.subject, order.text) == order)
    }
    for text in [
      "", "{}", "[]", #"["disconnect",null,null]"#, #"["other","5",null]"#, #"["mute",5,null]"#,
      // It could not be lifted: what is removed then is the text that this process would write.
      #"["disconnect", "5", null]"#, #"["disconnect","\u0035",null]"#, #" ["disconnect","5",null]"#,
    ] {
      #expect(StandingOrder.Subject(text) == nil)
    }
    let subject = all[0].subject
    for text in ["", "[1]", #"["1","x"]"#, #"[1,"\#(String(repeating: "x", count: 124))"]"#] {
      #expect(StandingOrder(subject, text) == nil)
    }
  }
}
