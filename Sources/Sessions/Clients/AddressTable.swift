import Bytes
import GatewayConfig
import Synchronization
import Transport

/// Enforces `limits.per_ip` over all reactors: the number of connections of an address, and the rate of its handshakes.
///
/// Asked once for each connection, never for a message. Its memory is bounded: an address with connections is counted for as
/// long as it has some, so there are no more such entries than connections. The handshakes of other addresses are remembered
/// for the last `recentAddresses` of them; `limits.connections` bounds clients with more addresses than that.
package final class AddressTable: Sendable {
  /// Why an address is refused.
  package struct Refusal: Error, Equatable {
    enum Cause: Equatable {
      /// The address has as many connections as the limit allows; the limit.
      case connections(Int)
      case handshakes
    }

    var cause: Cause
    /// When a retry may succeed. Seconds.
    var retryAfter: Int
  }

  fileprivate struct Counts {
    /// Connections that are open, by site.
    var open: [IPAddress: Int] = [:]
    /// When the handshakes of a site will be paid for, in nanoseconds of the monotonic clock (GCRA, ITU-T I.371): for the sites
    /// that came last, and for those that came before them.
    var recent: [IPAddress: UInt64] = [:]
    var older: [IPAddress: UInt64] = [:]

    /// - Returns: how long to wait, in nanoseconds, if there were too many handshakes; nil if this one is allowed.
    mutating func pay(_ rate: Rate, for site: IPAddress, at now: UInt64) -> UInt64? {
      let cost = rate.period.wholeNanoseconds / UInt64(rate.count)
      let credit = cost * UInt64(rate.burst - 1)
      let paidAt = max(recent[site] ?? older[site] ?? 0, now)
      if recent.count >= AddressTable.recentAddresses / 2, recent[site] == nil {
        older = recent
        recent = [:]
      }
      let isOver = paidAt - now > credit
      // A refused site stays among the recent ones.
      recent[site] = isOver ? paidAt : paidAt + cost
      return isOver ? paidAt - now - credit : nil
    }
  }

  /// The most recent sites that are kept at most; at least half as many are kept.
  static let recentAddresses = 65_536
  private static let retryAfterConnections = 5

  private let most: Int
  private let rate: Rate?
  /// Whether addresses of this machine are exempt, which they are unless limits are given.
  private let sparesLoopback: Bool
  private let counts = Mutex(Counts())

  /// - Parameter limit: `limits.connections`.
  /// - Returns: nil if nothing is limited.
  init?(_ limits: AddressLimits, of limit: Int) {
    switch limits.connections {
    case .half: most = max(1, limit / 2)
    case .most(let count): most = count
    case .unlimited: most = .max
    }
    rate = limits.handshakes
    sparesLoopback = limits.connections == .half && limits.handshakes == nil
    if most == .max, rate == nil { return nil }
  }

  /// Takes a place for a connection.
  ///
  /// - Parameter isHandshake: whether the connection also counts as a handshake.
  /// - Returns: an object that gives the place back when it is released; nil if the connection is not counted.
  func take(
    _ peer: PeerAddress, isHandshake: Bool = true, at now: MonotonicTime = .now
  ) -> Result<AddressPlace?, Refusal> {
    guard let address = peer.address, !(sparesLoopback && address.isLoopback) else { return .success(nil) }
    let site = address.site
    return counts.withLock { counts -> Result<AddressPlace?, Refusal> in
      let open = counts.open[site, default: 0]
      guard open < most else {
        return .failure(Refusal(cause: .connections(open), retryAfter: Self.retryAfterConnections))
      }
      if isHandshake, let rate, let wait = counts.pay(rate, for: site, at: now.nanoseconds) {
        return .failure(Refusal(cause: .handshakes, retryAfter: Int(wait / 1_000_000_000) + 1))
      }
      guard most < .max else { return .success(nil) }
      counts.open[site] = open + 1
      return .success(AddressPlace(of: site, in: self))
    }
  }

  fileprivate func giveBack(_ site: IPAddress) {
    counts.withLock { counts in
      guard let open = counts.open[site] else { return }
      counts.open[site] = open > 1 ? open - 1 : nil
    }
  }

  /// The number of known sites, for tests: with connections, and recent ones.
  var sizes: (open: Int, recent: Int) {
    counts.withLock { ($0.open.count, $0.recent.count + $0.older.count) }
  }
}

/// One connection of an address. It counts until this object is released.
package final class AddressPlace: Sendable {
  private let site: IPAddress
  private let table: AddressTable

  fileprivate init(of site: IPAddress, in table: AddressTable) {
    self.site = site
    self.table = table
  }

  deinit {
    table.giveBack(site)
  }
}
