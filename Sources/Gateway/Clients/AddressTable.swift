import Bytes
import GatewayConfig
import Synchronization
import Transport

/// Holds clients to `limits.per_ip`, over all reactors: how many connections an address has, and how often it comes.
///
/// Asked once for each connection, never for a message. Its memory is bounded: an address that has connections is counted for as
/// long as it has some, so that there are no more of them than connections; how often others came is kept for the last
/// `recentAddresses` of them, and who comes from more addresses than that is held by `limits.connections`.
final class AddressTable: Sendable {
  /// Why an address is not served.
  struct Refusal: Error, Equatable {
    enum Cause: Equatable {
      /// So many connections, which is the limit.
      case connections(Int)
      case handshakes
    }

    var cause: Cause
    /// When it may be worth to try again. Seconds.
    var retryAfter: Int
  }

  fileprivate struct Counts {
    /// Connections that are open, by site.
    var open: [IPAddress: Int] = [:]
    /// When the handshakes of a site will be paid for, in nanoseconds of the monotonic clock (GCRA, ITU-T I.371): of those that came
    /// last, and of those that came before them.
    var recent: [IPAddress: UInt64] = [:]
    var older: [IPAddress: UInt64] = [:]
  }

  /// How many sites are kept at most of those that came last; at least half as many are.
  static let recentAddresses = 65_536
  private static let retryAfterConnections = 5

  private let most: Int
  private let rate: Rate?
  /// Whether addresses of this machine are let through, as they are unless limits are given.
  private let sparesLoopback: Bool
  private let counts = Mutex(Counts())

  /// - Parameter limit: `limits.connections`.
  /// - Returns: nil where nothing is limited.
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
  /// - Parameters:
  ///   - isHandshake: whether it counts as one of the handshakes, too.
  /// - Returns: what gives the place back when it is let go of; nil where the connection is not counted.
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

  /// How many sites it knows, for tests: with connections, and of those that came.
  var sizes: (open: Int, recent: Int) {
    counts.withLock { ($0.open.count, $0.recent.count + $0.older.count) }
  }
}

extension AddressTable.Counts {
  /// - Returns: how long to wait, in nanoseconds, where there were too many; nil where this one is one of those that may be.
  mutating func pay(_ rate: Rate, for site: IPAddress, at now: UInt64) -> UInt64? {
    let cost = rate.period.wholeNanoseconds / UInt64(rate.count)
    let credit = cost * UInt64(rate.burst - 1)
    let paidAt = max(recent[site] ?? older[site] ?? 0, now)
    if recent.count >= AddressTable.recentAddresses / 2, recent[site] == nil {
      older = recent
      recent = [:]
    }
    let isOver = paidAt - now > credit
    // Who is refused stays among those that came last.
    recent[site] = isOver ? paidAt : paidAt + cost
    return isOver ? paidAt - now - credit : nil
  }
}

/// One connection of an address, which counts for as long as somebody holds this.
final class AddressPlace: Sendable {
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
