import ChannelLayers
import Consumers
import JSON
import Sessions
import Synchronization
import Testing
import Transport

@testable import Gateway

private let now = 1_000_000.0

private func disconnect(
  user: String? = nil, address: String? = nil, group: String? = nil, until: Double? = nil,
  reason: String? = nil
) -> ControlOrder {
  ControlOrder(
    .disconnect, SessionTarget(user: user, address: address, group: group), until: until, reason: reason)
}

/// What an event comes to: an order, why it is none, or nil where it is another event.
private func read(
  _ fields: (String, EventValue)..., type: String = "sluice.disconnect"
) -> Result<ControlOrder?, OrderFields.Fault> {
  let event = Event(type: type, fields: fields.map { Event.Field($0.0, $0.1) })
  return Result { () throws(OrderFields.Fault) in try ControlOrder(event, at: now) }
}

private func order(_ result: Result<ControlOrder?, OrderFields.Fault>) -> ControlOrder? {
  (try? result.get()) ?? nil
}

private func fault(_ result: Result<ControlOrder?, OrderFields.Fault>) -> String? {
  if case .failure(let fault) = result { fault.text } else { nil }
}

struct ControlOrderTests {
  @Test func `an order comes as text, or as the number that Django has for a user`() {
    let named = read(("user", .json(.string("ann"))), ("reason", .json(.string("bye"))))
    #expect(order(named) == disconnect(user: "ann", reason: "bye"))
    #expect(order(read(("user", .json(.integer(5))))) == disconnect(user: "5"))
    #expect(order(read(("user", .json(.integer(5))), type: "sluice_disconnect")) == disconnect(user: "5"))
    #expect(disconnect(user: "5").reason == "disconnected by an operator")
    #expect(ControlOrder(.mute, SessionTarget(user: "5")).reason == "muted by an operator")
  }

  @Test func `users, addresses and groups can be meant, each with a time if that makes sense`() {
    let inGroup = read(
      ("user", .json(.string("5"))), ("group", .json(.string("room"))), ("for", .json(.string("10m"))))
    #expect(order(inGroup) == disconnect(user: "5", group: "room", until: now + 600))
    #expect(order(read(("address", .json(.string("specific.a!b"))))) == disconnect(address: "specific.a!b"))
    #expect(
      fault(read(("address", .json(.string("specific.a!b"))), ("for", .json(.string("10m")))))
        == "an address ends with its session, so \"for\" needs a \"user\" or a \"group\" alone")
    let muted = order(read(("user", .json(.integer(5))), ("for", .json(.string("1h"))), type: "sluice.mute"))
    #expect(muted?.standing?.until == now + 3600)
    #expect(
      fault(read(("user", .json(.integer(5))), type: "sluice.mute"))
        == "the order needs a time: \"for\": \"10m\"")
  }

  @Test func `groups are joined and left, one or several`() {
    let joining = order(
      read(("user", .json(.integer(5))), ("group", .json(.string("a"))), type: "sluice.join"))
    #expect(joining?.groups == ["a"] && joining?.target == SessionTarget(user: "5"))
    #expect(joining?.action == .join(["a"]))
    let several = EventValue.json(.array(["a", "b"]))
    #expect(
      order(read(("address", .json(.string("x"))), ("groups", several), type: "sluice.leave"))?.groups == [
        "a", "b",
      ])
    #expect(fault(read(("user", .json(.integer(5))), type: "sluice.join")) == "the order needs a \"group\"")
    #expect(
      fault(read(("group", .json(.string("a"))), type: "sluice.join"))
        == "the order needs a \"user\" or an \"address\"")
    #expect(
      fault(
        read(("user", .json(.integer(5))), ("group", .json(.string("sluice.control"))), type: "sluice.join"))?
        .contains("is not a valid group name") == true)
  }

  @Test func `each kind of mistake in an order is logged once, whatever name it has`() {
    let lines = Mutex<[String]>([])
    let renderer = ControlRenderer(
      unfit: UnfitEvents(known: []) { report in lines.withLock { $0.append(report.reason) } })
    func send(_ fields: (String, EventValue)...) {
      let event = Event(type: "sluice.join", fields: fields.map { Event.Field($0.0, $0.1) })
      _ = renderer.render(event, for: nil, into: SharedBytes(capacity: 64))
    }
    for _ in 0..<2 {
      send(("user", .json(.integer(5))), ("grup", .json(.string("a"))))
      send(("user", .json(.null)), ("group", .json(.string("a"))))
      send(("user", .json(.integer(5))), ("group", .json(.string("a b"))))
      send(("user", .json(.integer(5))), ("group", .json(.string("c d"))))
    }
    let told = lines.withLock { $0 }
    #expect(told.count == 3)
    for (line, part) in zip(told, ["\"grup\"", "\"user\" is None", "\"a b\""]) {
      #expect(line.contains(part))
    }
  }

  @Test func `what is no order is none`() {
    #expect(order(read(("user", .json(.integer(5))), type: "chat.message")) == nil)
    let nobody = "the order needs a \"user\", an \"address\" or a \"group\""
    #expect(fault(read()) == nobody)
    #expect(fault(read(("user", .json(.null)))) == "\"user\" is None: leave it out, or give it a value")
    #expect(fault(read(("user", .json(.array([]))))) == "\"user\" must be a string or a whole number")
    #expect(fault(read(("user", .bytes([1])))) == "\"user\" must not be bytes")
    for time in ["0s", "366d", "10", "soon", ""] {
      #expect(
        fault(read(("user", .json(.integer(5))), ("for", .json(.string(time)))))
          == "\"for\" must be a time from 1s to 365d, such as \"10m\"")
    }
  }

  @Test func `a field that is not known, or a target that is None, makes no order about more sessions`() {
    let user: (String, EventValue) = ("user", .json(.string("6")))
    let time: (String, EventValue) = ("for", .json(.string("1h")))
    #expect(
      fault(read(user, ("grop", .json(.string("room"))), time, type: "sluice.mute"))
        == "unknown field \"grop\": did you mean \"group\"?")
    #expect(
      fault(read(user, ("groups", .json(.array(["room_7"])))))?.hasPrefix("unknown field \"groups\"") == true)
    for name in ["group", "address"] {
      #expect(
        fault(read(user, (name, .json(.null)))) == "\"\(name)\" is None: leave it out, or give it a value")
    }
    #expect(order(read(user, ("for", .json(.null)), ("reason", .json(.null)))) == disconnect(user: "6"))
    // Django may give the end as a time, and has had nobody keep it.
    let until = order(read(user, ("until", .json(.integer(2_000_000)))))
    #expect(until?.isKept == false && until?.standing != nil)
  }

  @Test func `a reason fits into a close frame`() {
    let long = String(repeating: "é", count: 100)
    let cut = order(read(("user", .json(.integer(5))), ("reason", .json(.string(long)))))
    #expect(cut?.reason == String(repeating: "é", count: 61))
  }

  @Test func `a line and an event are the same order`() throws {
    var orders = [
      disconnect(user: "a\nb\"é", reason: "x\ny"), disconnect(address: "x"),
      disconnect(group: "g", until: now + 0.5), ControlOrder(.admit, SessionTarget(user: "5")),
      ControlOrder(.unmute, SessionTarget(group: "g")),
    ]
    orders.append(ControlOrder(.join, SessionTarget(user: "5")))
    orders[5].groups = ["a", "b"]
    for order in orders {
      #expect(order.line.filter { $0 == UInt8(ascii: "\n") }.count == 1)
      #expect(ControlOrder(line: Array(order.line.dropLast())) == order)
      #expect(try ControlOrder(order.event, at: now) == order)
      var kept = order
      kept.isKept = true
      #expect(try ControlOrder(kept.event, at: now) == kept)
    }
    #expect(ControlOrder(line: Array("{}".utf8)) == nil)
  }

  @Test func `in a request nothing is left out or too much`() throws {
    func read(_ text: String, _ kind: ControlOrder.Kind = .disconnect) throws(PublishRefusal) -> ControlOrder
    {
      try ControlOrder(kind, body: Array(text.utf8), at: now)
    }
    #expect(try read(#"{"user": "5"}"#) == disconnect(user: "5"))
    #expect(try read(#"{"user": 5, "reason": "x"}"#) == disconnect(user: "5", reason: "x"))
    #expect(try read(#"{"group": "g", "for": "10m"}"#) == disconnect(group: "g", until: now + 600))
    let faulty = [
      "{}", #"{"user": ""}"#, #"{"user": 1.5}"#, #"{"user": "5", "resaon": "x"}"#, #"{"user": null}"#,
      "{\"user\": \"5\", \"reason\": \"\(String(repeating: "x", count: 124))\"}",
      #"{"user": "5", "until": 2000000}"#, #"{"user": "5", "groups": ["a"]}"#, #"{"user": "5", "for": 600}"#,
    ]
    for text in faulty { #expect(throws: PublishRefusal.self) { try read(text) } }
    #expect(throws: PublishRefusal.self) { try read(#"{"user": "5", "groups": "a"}"#, .join) }
    #expect(throws: PublishRefusal.self) { try read(#"{"user": "5", "groups": []}"#, .join) }
  }
}
