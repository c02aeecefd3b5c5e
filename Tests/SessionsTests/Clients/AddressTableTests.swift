import Bytes
import Testing
import Transport

@testable import GatewayConfig
@testable import Sessions

private func table(connections: Int? = nil, _ rate: Rate? = nil, of limit: Int = 100) throws -> AddressTable {
  var limits = AddressLimits()
  if let connections { limits.connections = .most(connections) }
  limits.handshakes = rate
  return AddressTable(limits, of: limit)
}

private func peer(_ host: String, _ port: Int = 1) -> PeerAddress {
  guard let address = IPAddress(host) else { preconditionFailure("\(host) is no address") }
  return .tcp(address, port: port)
}

private func second(_ number: Double) -> MonotonicTime {
  MonotonicTime(nanoseconds: UInt64(1e12 + number * 1e9))
}

struct AddressTableTests {
  @Test func `an address has its connections, and others have theirs`() throws {
    let table = try table(connections: 2)
    var held = try (1...2).map { try table.take(peer("192.0.2.1", $0)).get() }
    #expect(throws: AddressTable.Refusal(cause: .connections(2), retryAfter: 5)) {
      try table.take(peer("::ffff:192.0.2.1")).get()
    }
    held.append(try table.take(peer("192.0.2.2")).get())
    held.removeFirst()
    held.append(try table.take(peer("192.0.2.1")).get())
    #expect(held.count == 3 && held.allSatisfy { $0 != nil })
    #expect(table.sizes.open == 2)
    held = []
    #expect(table.sizes == (0, 0))
  }

  @Test func `a /64 is one address`() throws {
    let table = try table(connections: 1)
    let held = try table.take(peer("2001:db8::1")).get()
    #expect(throws: AddressTable.Refusal.self) { try table.take(peer("2001:db8::ffff:1")).get() }
    #expect(throws: Never.self) { try table.take(peer("2001:db8:0:1::1")).get() }
    _ = held
  }

  @Test func `so many handshakes come at once, and then so many in a second`() throws {
    let table = try table(Rate(count: 20, period: .seconds(1), burst: 100))
    func taken(_ count: Int, at time: Double) -> Int {
      (0..<count).count { _ in
        if case .success = table.take(peer("192.0.2.1"), at: second(time)) { true } else { false }
      }
    }
    #expect(taken(200, at: 0) == 100)
    #expect(taken(200, at: 1) == 20)
    #expect(taken(200, at: 1.5) == 10)
    #expect(taken(1, at: 1.51) == 0)
    #expect(throws: AddressTable.Refusal(cause: .handshakes, retryAfter: 1)) {
      try table.take(peer("192.0.2.1"), at: second(1.51)).get()
    }
    #expect(throws: Never.self) {
      try table.take(peer("192.0.2.1"), isHandshake: false, at: second(1.51)).get()
    }
    #expect(throws: Never.self) { try table.take(peer("192.0.2.2"), at: second(1.51)).get() }
    #expect(taken(200, at: 1000) == 100)
  }

  @Test func `a slow rate says how long to wait`() throws {
    let table = try table(Rate(count: 1, period: .seconds(60), burst: 1))
    _ = try table.take(peer("192.0.2.1"), at: second(0)).get()
    #expect(throws: AddressTable.Refusal(cause: .handshakes, retryAfter: 60)) {
      try table.take(peer("192.0.2.1"), at: second(0.5)).get()
    }
  }

  @Test func `its memory is bounded, whoever comes`() throws {
    let table = try table(Rate(count: 1, period: .seconds(3600), burst: 1))
    for number in 0..<(2 * AddressTable.recentAddresses) {
      let host = "2001:db8:\(String(number >> 16, radix: 16)):\(String(number & 0xFFFF, radix: 16))::1"
      _ = table.take(peer(host), at: second(0))
      // Who goes on coming is not forgotten.
      if number % 1000 == 0 { _ = table.take(peer("192.0.2.1"), at: second(0)) }
    }
    #expect(table.sizes.recent <= AddressTable.recentAddresses)
    #expect(throws: AddressTable.Refusal.self) { try table.take(peer("192.0.2.1"), at: second(1)).get() }
  }

  @Test func `unless limits are given, an address of another machine has half of all places`() throws {
    let table = try table(of: 4)
    let held = try (0..<10).map { try table.take(peer("127.0.0.1", $0)).get() }
    #expect(held.allSatisfy { $0 == nil })
    #expect(try table.take(.unix).get() == nil)
    let others = try (0..<2).map { _ in try table.take(peer("192.0.2.1")).get() }
    #expect(others.allSatisfy { $0 != nil })
    #expect(throws: AddressTable.Refusal.self) { try table.take(peer("192.0.2.1")).get() }
    var none = AddressLimits()
    none.connections = .unlimited
    #expect(!AddressTable(none, of: 4).isLimiting)
  }
}
