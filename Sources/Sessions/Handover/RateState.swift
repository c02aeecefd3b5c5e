package import Bytes
import GatewayConfig
import Transport

/// What addresses, users and all clients together have used of their rates, as a record: another process is no new start.
package struct RateState: Sendable, Recorded {
  /// Of the hashes by which users are known.
  var userKey: [UInt8] = []
  /// When the messages, and the handshakes, of each user will be paid for. Nanoseconds of the monotonic clock.
  var messages: [UInt64: UInt64] = [:]
  var handshakes: [UInt64: UInt64] = [:]
  /// The same of the handshakes of each address.
  var sites: [IPAddress: UInt64] = [:]
  /// Nil where all together may be any number.
  var ofAll: OfAll?

  init() {}

  /// What `limits.handshakes` has allowed, and when those are to come that it has refused.
  package struct OfAll: Sendable, Recorded, Equatable {
    /// Under another one the times mean nothing.
    var rate: Rate
    /// Nanoseconds of the monotonic clock.
    var paidAt: UInt64 = 0
    var promisedAt: UInt64 = 0

    init(rate: Rate, paidAt: UInt64, promisedAt: UInt64) {
      (self.rate, self.paidAt, self.promisedAt) = (rate, paidAt, promisedAt)
    }

    package init(from record: inout RecordReader) throws(RecordedFault) {
      rate = Rate(count: 0, period: .zero, burst: 0)
      while let field = try record.next() {
        switch field.number {
        case 1: rate.count = try field.integer()
        case 2: rate.period = .nanoseconds(try field.integer(in: 0...Int64.max))
        case 3: rate.burst = try field.integer()
        case 4: paidAt = try field.time()
        case 5: promisedAt = try field.time()
        default: break
        }
      }
    }

    package func write(to record: inout RecordWriter) {
      record.add(1, rate.count)
      record.add(2, rate.period.wholeNanoseconds)
      record.add(3, rate.burst)
      record.add(4, paidAt)
      record.add(5, promisedAt)
    }
  }

  package init(from record: inout RecordReader) throws(RecordedFault) {
    var key: UInt64 = 0
    var site: IPAddress?
    while let field = try record.next() {
      switch field.number {
      case 1: userKey = try field.bytes()
      case 2: key = try field.unsigned()
      case 3: messages[key] = try field.time()
      case 4: handshakes[key] = try field.time()
      case 5: site = try field.address()
      case 6: if let site { sites[site] = try field.time() }
      case 7: ofAll = try field.record()
      default: break
      }
    }
  }

  package func write(to record: inout RecordWriter) {
    record.add(1, userKey)
    for (key, paidAt) in messages {
      record.addAlways(2, key)
      record.addAlways(3, paidAt)
    }
    for (key, paidAt) in handshakes {
      record.addAlways(2, key)
      record.addAlways(4, paidAt)
    }
    for (site, paidAt) in sites {
      record.add(5, site.networkOrder)
      record.addAlways(6, paidAt)
    }
    if let ofAll { record.add(7, ofAll) }
  }
}
