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
    var handshakes: RecentAccounts<IPAddress>
  }

  /// The most recent sites that are kept at most.
  static let recentAddresses = RecentAccounts<IPAddress>.most
  private static let retryAfterConnections = 5

  /// What an address may have.
  private struct Limits {
    var most: Int
    var rate: RatePrice?
    /// Whether addresses of this machine are exempt, which they are unless limits are given.
    var sparesLoopback: Bool

    /// - Parameter limit: `limits.connections`.
    init(_ limits: AddressLimits, of limit: Int) {
      switch limits.connections {
      case .half: most = max(1, limit / 2)
      case .most(let count): most = count
      case .unlimited: most = .max
      }
      rate = limits.handshakes.map(RatePrice.init)
      sparesLoopback = limits.connections == .half && limits.handshakes == nil
    }

    var isLimiting: Bool { most < .max || rate != nil }
  }

  private let counts: Mutex<(limits: Limits, counts: Counts)>
  /// Apart, so that nobody takes the lock where nothing is limited.
  private let limits: Atomic<Bool>

  /// - Parameter limit: `limits.connections`.
  init(_ limits: AddressLimits, of limit: Int, resuming state: RateState? = nil) {
    let limits = Limits(limits, of: limit)
    self.limits = Atomic(limits.isLimiting)
    counts = Mutex((limits, Counts(handshakes: RecentAccounts(state?.sites ?? [:]))))
  }

  /// Adds what the process needs that takes this one's place.
  func add(to state: inout RateState, at now: MonotonicTime = .now) {
    state.sites = counts.withLock { $0.counts.handshakes.all(at: now.nanoseconds) }
  }

  /// Whether anything is limited.
  var isLimiting: Bool { limits.load(ordering: .relaxed) }

  /// Other limits hold from now on. Connections that were counted go on counting; one that came while nothing was limited never does.
  func limit(_ new: AddressLimits, of limit: Int) {
    let new = Limits(new, of: limit)
    counts.withLock { $0.limits = new }
    limits.store(new.isLimiting, ordering: .relaxed)
  }

  /// Takes a place for a connection.
  ///
  /// - Parameter isHandshake: whether the connection also counts as a handshake.
  /// - Returns: an object that gives the place back when it is released; nil if the connection is not counted.
  func take(
    _ peer: PeerAddress, isHandshake: Bool = true, at now: MonotonicTime = .now
  ) -> Result<AddressPlace?, Refusal> {
    guard let address = peer.address else { return .success(nil) }
    let site = address.site
    return counts.withLock { state -> Result<AddressPlace?, Refusal> in
      let limits = state.limits
      guard !(limits.sparesLoopback && address.isLoopback) else { return .success(nil) }
      let open = state.counts.open[site, default: 0]
      guard open < limits.most else {
        return .failure(Refusal(cause: .connections(open), retryAfter: Self.retryAfterConnections))
      }
      if isHandshake, let rate = limits.rate,
        let wait = state.counts.handshakes.pay(rate, for: site, at: now.nanoseconds)
      {
        return .failure(Refusal(cause: .handshakes, retryAfter: Int(wait / 1_000_000_000) + 1))
      }
      guard limits.most < .max else { return .success(nil) }
      state.counts.open[site] = open + 1
      return .success(AddressPlace(of: site, in: self))
    }
  }

  /// Counts a connection that another process has counted before.
  func retake(_ site: IPAddress) -> AddressPlace? {
    counts.withLock { state in
      guard state.limits.most < .max else { return nil }
      state.counts.open[site, default: 0] += 1
      return AddressPlace(of: site, in: self)
    }
  }

  fileprivate func giveBack(_ site: IPAddress) {
    counts.withLock { state in
      guard let open = state.counts.open[site] else { return }
      state.counts.open[site] = open > 1 ? open - 1 : nil
    }
  }

  /// The number of known sites, for tests: with connections, and recent ones.
  var sizes: (open: Int, recent: Int) {
    counts.withLock { ($0.counts.open.count, $0.counts.handshakes.count) }
  }
}

/// One connection of an address. It counts until this object is released.
package final class AddressPlace: Sendable {
  let site: IPAddress
  private let table: AddressTable

  fileprivate init(of site: IPAddress, in table: AddressTable) {
    self.site = site
    self.table = table
  }

  deinit {
    table.giveBack(site)
  }
}
