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
    /// The handshakes of each site.
    var handshakes = RecentAccounts<IPAddress>()
  }

  /// The most recent sites that are kept at most.
  static let recentAddresses = RecentAccounts<IPAddress>.most
  private static let retryAfterConnections = 5

  private let most: Int
  private let rate: RatePrice?
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
    rate = limits.handshakes.map(RatePrice.init)
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
      if isHandshake, let rate, let wait = counts.handshakes.pay(rate, for: site, at: now.nanoseconds) {
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
    counts.withLock { ($0.open.count, $0.handshakes.count) }
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
