import GatewayConfig
import Transport

/// What one thing costs under a rate, in nanoseconds (GCRA, ITU-T I.371). All that is kept of somebody is the time at which everything
/// so far will be paid for.
struct RatePrice: Sendable, Equatable {
  private let cost: UInt64
  /// How far that time may be ahead when something more is asked for.
  private let credit: UInt64

  init(_ rate: Rate) {
    cost = rate.period.wholeNanoseconds / UInt64(rate.count)
    credit = cost * UInt64(rate.burst - 1)
  }

  /// One thing in each interval, and this many at once.
  init(every interval: Duration, burst: Int) {
    cost = interval.wholeNanoseconds
    credit = cost * UInt64(burst - 1)
  }

  /// - Parameters:
  ///   - paidAt: in nanoseconds of the monotonic clock, as `now`.
  ///   - count: from 1 to a million. More than the burst are never allowed.
  /// - Returns: how long to wait, in nanoseconds; nil if so many more are allowed now.
  func wait(_ paidAt: UInt64, at now: UInt64, for count: Int = 1) -> UInt64? {
    let ahead = max(paidAt, now) - now + cost * UInt64(count - 1)
    return ahead > credit ? ahead - credit : nil
  }

  /// - Parameter count: at most a million.
  /// - Returns: when everything will be paid for, with so many more.
  func paying(_ paidAt: UInt64, at now: UInt64, for count: Int = 1) -> UInt64 {
    max(paidAt, now) + cost * UInt64(count)
  }

  /// What a client is told of a wait in nanoseconds: whole seconds, and never too few.
  static func seconds(_ wait: UInt64) -> Int { Int((wait + 999_999_999) / 1_000_000_000) }
}

/// When everything will be paid for, for those who came last.
struct RecentAccounts<Key: Hashable & Sendable>: Sendable {
  /// At most so many are kept, and at least half as many.
  static var most: Int { 65_536 }

  private var recent: [Key: UInt64] = [:]
  /// Those that came before the recent ones.
  private var older: [Key: UInt64] = [:]

  init() {}

  /// Goes on with those of another process.
  init(_ known: [Key: UInt64]) {
    for (key, paidAt) in known { self[key] = paidAt }
  }

  var count: Int { recent.count + older.count }

  /// Those who have something to pay for.
  func all(at now: UInt64) -> [Key: UInt64] {
    older.merging(recent) { $1 }.filter { $0.value > now }
  }

  /// 0 for one that is not remembered.
  subscript(key: Key) -> UInt64 {
    get { recent[key] ?? older[key] ?? 0 }
    set {
      if recent.count >= Self.most / 2, recent[key] == nil {
        older = recent
        recent = [:]
      }
      recent[key] = newValue
    }
  }

  /// - Returns: how long to wait, in nanoseconds; nil if one more was allowed, and counted. One that has to wait stays among the
  ///   recent ones.
  mutating func pay(_ price: RatePrice, for key: Key, at now: UInt64) -> UInt64? {
    let paidAt = self[key]
    let wait = price.wait(paidAt, at: now)
    self[key] = wait == nil ? price.paying(paidAt, at: now) : max(paidAt, now)
    return wait
  }
}
