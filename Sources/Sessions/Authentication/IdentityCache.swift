import Consumers
import Synchronization
import Transport
import WebSocketCore

/// Remembers identities for a short time by the fields of the request. Bounded: when it is full, expired entries are removed
/// first, then all.
final class IdentityCache: Sendable {
  private struct Entry {
    var identity: Identity
    var until: MonotonicTime
  }

  private let lifetime: Duration
  private let entries = Mutex<[[String]: Entry]>([:])

  private static let mostEntries = 4096

  init(lifetime: Duration) {
    self.lifetime = lifetime
  }

  func identity(for fields: [HeaderField], at now: MonotonicTime = .now) -> Identity? {
    entries.withLock { entries in
      guard let entry = entries[Self.key(fields)], now < entry.until else { return nil }
      if let expires = entry.identity.expires, expires <= WallClock.secondsSinceEpoch { return nil }
      return entry.identity
    }
  }

  func keep(_ identity: Identity, for fields: [HeaderField], at now: MonotonicTime = .now) {
    entries.withLock { entries in
      if entries.count >= Self.mostEntries { entries = entries.filter { now < $0.value.until } }
      if entries.count >= Self.mostEntries { entries = [:] }
      entries[Self.key(fields)] = Entry(identity: identity, until: now + lifetime)
    }
  }

  private static func key(_ fields: [HeaderField]) -> [String] {
    fields.flatMap { [$0.name, $0.value] }
  }
}
