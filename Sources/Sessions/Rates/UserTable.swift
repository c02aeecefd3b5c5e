import Bytes
import Crypto
import GatewayConfig
import Synchronization
package import Transport

/// Enforces `limits.per_user` over all reactors: the rates of a user's handshakes, and of the messages of all its sessions.
///
/// Asked at the beginning and the end of a session, and for what a user publishes over HTTP, never for a message of a session. Its
/// memory is bounded: a user is counted while it has sessions, so there are no more such entries than sessions; of other users, the
/// last `RecentAccounts.most` are remembered. A user is known by a hash of its name under a key that only this process has, and
/// the one that takes its place, so that a long name takes no more room than a short one.
package final class UserTable: Sendable {
  private struct Users {
    /// Users with sessions, and how many they have.
    var open: [UInt64: (account: UserAccount, sessions: Int)] = [:]
    /// Users whose last session has ended before its messages were paid for.
    var left: RecentAccounts<UInt64>
    var handshakes: RecentAccounts<UInt64>
  }

  private struct Limits {
    var messages: RatePrice?
    var mostMessages: Int?
    var handshakes: RatePrice?

    init(_ limits: UserLimits) {
      messages = limits.messages.map(RatePrice.init)
      mostMessages = limits.messages?.burst
      handshakes = limits.handshakes.map(RatePrice.init)
    }
  }

  private let limits: Mutex<Limits>
  private let users: Mutex<Users>
  private let secret: SymmetricKey

  /// - Parameter state: of the process that this one takes the place of.
  init(_ limits: UserLimits, resuming state: RateState? = nil) {
    self.limits = Mutex(Limits(limits))
    secret = state.map { SymmetricKey(data: $0.userKey) } ?? SymmetricKey(size: .bits128)
    users = Mutex(
      Users(
        left: RecentAccounts(state?.messages ?? [:]), handshakes: RecentAccounts(state?.handshakes ?? [:])))
  }

  /// Adds what the process needs that takes this one's place.
  func add(to state: inout RateState, at now: MonotonicTime = .now) {
    state.userKey = unsafe secret.withUnsafeBytes { unsafe Array($0) }
    (state.messages, state.handshakes) = users.withLock { users in
      let open = users.open.mapValues { $0.account.paidAt.load(ordering: .relaxed) }
        .filter { $0.value > now.nanoseconds }
      return (
        users.left.all(at: now.nanoseconds).merging(open) { $1 }, users.handshakes.all(at: now.nanoseconds)
      )
    }
  }

  /// Whether anything is limited.
  var isLimiting: Bool { limits.withLock { $0.messages != nil || $0.handshakes != nil } }

  /// Other limits hold from now on: for a session once it takes its place anew.
  func limit(_ new: UserLimits) {
    limits.withLock { $0 = Limits(new) }
  }

  private var messages: RatePrice? { limits.withLock(\.messages) }

  /// Counts a handshake of a user.
  ///
  /// - Returns: after how many seconds another attempt may succeed, if there were too many; nil if this one is allowed.
  func retryAfter(handshakeOf user: String, at now: MonotonicTime = .now) -> Int? {
    guard let handshakes = limits.withLock(\.handshakes) else { return nil }
    let key = self.key(user)
    let wait = users.withLock { $0.handshakes.pay(handshakes, for: key, at: now.nanoseconds) }
    return wait.map(RatePrice.seconds)
  }

  /// Counts a session of a user.
  ///
  /// - Returns: nil if the messages of users are not counted. The session counts until the place is released.
  func place(of user: String) -> UserPlace? {
    guard let messages else { return nil }
    let key = self.key(user)
    let account = users.withLock { users in
      let account = users.open[key]?.account ?? UserAccount(paidAt: users.left[key])
      users.open[key] = (account, (users.open[key]?.sessions ?? 0) + 1)
      return account
    }
    return UserPlace(account, key: key, price: messages, in: self)
  }

  /// The most messages that a user can send at once; nil if messages are not counted.
  package var mostMessages: Int? { limits.withLock(\.mostMessages) }

  /// Counts messages that a user sends without a session, all at once: all of them or none.
  ///
  /// - Parameter count: at most `mostMessages`; more would never be allowed.
  /// - Returns: after how many seconds they may be sent, if there were too many before; nil if they are allowed.
  package func retryAfter(messages count: Int, of user: String, at now: MonotonicTime = .now) -> Int? {
    guard let messages else { return nil }
    let (key, now) = (self.key(user), now.nanoseconds)
    let wait: UInt64? = users.withLock { users in
      let account = users.open[key]?.account
      let paidAt = account?.paidAt.load(ordering: .relaxed) ?? users.left[key]
      if let wait = messages.wait(paidAt, at: now, for: count) { return wait }
      if let account {
        account.pay(messages, at: now, for: count)
      } else {
        users.left[key] = messages.paying(paidAt, at: now, for: count)
      }
      return nil
    }
    return wait.map(RatePrice.seconds)
  }

  fileprivate func giveBack(_ key: UInt64, at now: MonotonicTime = .now) {
    users.withLock { users in
      guard let (account, sessions) = users.open[key] else { return }
      guard sessions == 1 else { return users.open[key] = (account, sessions - 1) }
      users.open[key] = nil
      let paidAt = account.paidAt.load(ordering: .relaxed)
      // Otherwise there is nothing to remember.
      if paidAt > now.nanoseconds { users.left[key] = paidAt }
    }
  }

  /// Names that differ are different users, even where `String` considers them equal.
  private func key(_ user: String) -> UInt64 {
    HMAC<SHA256>.authenticationCode(for: Array(user.utf8), using: secret).prefix(8)
      .reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// The number of known users, for tests: with sessions, and others.
  var sizes: (open: Int, left: Int, handshakes: Int) {
    users.withLock { ($0.open.count, $0.left.count, $0.handshakes.count) }
  }
}

/// The messages of one user, which its sessions on all reactors pay for.
final class UserAccount: Sendable {
  /// When all will be paid for. Nanoseconds of the monotonic clock.
  fileprivate let paidAt: Atomic<UInt64>

  fileprivate init(paidAt: UInt64) {
    self.paidAt = Atomic(paidAt)
  }

  fileprivate func pay(_ price: RatePrice, at now: UInt64, for count: Int = 1) {
    var known = paidAt.load(ordering: .relaxed)
    while true {
      let (isDone, found) = paidAt.weakCompareExchange(
        expected: known, desired: price.paying(known, at: now, for: count), ordering: .relaxed)
      if isDone { return }
      known = found
    }
  }
}

/// One session of a user whose messages are counted.
final class UserPlace: Sendable {
  private let account: UserAccount
  private let key: UInt64
  private let price: RatePrice
  private let table: UserTable

  fileprivate init(_ account: UserAccount, key: UInt64, price: RatePrice, in table: UserTable) {
    self.account = account
    self.key = key
    self.price = price
    self.table = table
  }

  deinit {
    table.giveBack(key)
  }

  /// - Returns: how long to wait, in nanoseconds; nil if a message is allowed now.
  func wait(at now: UInt64) -> UInt64? {
    price.wait(account.paidAt.load(ordering: .relaxed), at: now)
  }

  /// Counts a message.
  func pay(at now: UInt64) {
    account.pay(price, at: now)
  }
}
