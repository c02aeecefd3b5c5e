import FoundationEssentials
import GatewayConfig
import JWTKit
import Logging
import Transport

/// The keys for verifying the tokens of one authenticator. Key sets are read again from time to time.
actor KeyRing {
  /// A key ready for use with one algorithm.
  struct Key: Sendable {
    /// `kid`; nil for a key without one, and for the only key of an authenticator.
    var name: String?
    var algorithm: SignatureAlgorithm
    var verifier: any JWTAlgorithm
  }

  enum Lookup {
    /// Keys to try in turn. The number of the reading tells one set from the next.
    case keys([Key], reading: Int)
    case unknownKey
    /// No set has been read yet; or the key is not in the last one, and the next one could not be read.
    case unavailable
  }

  /// The name of the authenticator, for the log.
  private let name: String
  private let source: JWTConfiguration.Keys
  private let allowed: [SignatureAlgorithm]?
  let server: UpstreamFetcher?
  private let log: Logger
  private var keys: [Key]? { didSet { readings += 1 } }
  /// How often the keys have been read.
  private var readings = 0
  private var lastRead: ContinuousClock.Instant?
  private var lastTry: ContinuousClock.Instant?
  /// Whether the last try failed, so that a key may be newer than the set.
  private var hasFailed = false
  private var reading: Task<Void, Never>?

  /// The shortest time between two readings. An unknown key, or a signature by none of the keys, causes a new one.
  private let leastPause: Duration
  private static let timeout = Duration.seconds(5)
  private static let longestSet = 1 << 20

  /// - Parameters:
  ///   - name: of the authenticator.
  ///   - server: the server of a set that is fetched.
  init(
    _ configuration: JWTConfiguration, of name: String = "", server: UpstreamFetcher?, log: Logger,
    leastPause: Duration = .seconds(5)
  ) {
    self.name = name
    source = configuration.keys
    allowed = configuration.algorithms
    self.server = server
    self.log = log
    self.leastPause = leastPause
  }

  /// The keys that a token may be signed with.
  ///
  /// - Parameter name: `kid`; nil if the token has none.
  func keys(named name: String?, for algorithm: SignatureAlgorithm) async -> Lookup {
    switch source {
    case .key(let key):
      if keys == nil { keys = await Self.prepare(key, for: allowed ?? [key.kind.standardAlgorithm]) }
      // If there is only one key, its name does not matter.
      return find(nil, algorithm)
    case .set(let place, let refresh):
      if isOlder(lastRead, than: refresh), let reading = readAnew() {
        switch place {
        case .file: await reading.value
        // A server may hang. A client whose key is in the last good set does not wait for the next one.
        case .url: if keys == nil { await reading.value }
        }
      }
      // A key may be newer than the set. Clients with such keys wait for the same reading.
      if isUnknown(name, algorithm), let reading = readAnew() { await reading.value }
      return find(name, algorithm)
    }
  }

  /// The keys that a token may be signed with, after those of one reading did not match its signature: a newer set may have
  /// another key with the same `kid`, or keys without one.
  ///
  /// - Returns: nil if no set has been read since, and it is too early to read it again.
  func keys(named name: String?, for algorithm: SignatureAlgorithm, after reading: Int) async -> Lookup? {
    guard case .set = source else { return nil }
    // Another client's token may have caused a reading already.
    if readings == reading { await readAnew()?.value }
    return readings == reading ? nil : find(name, algorithm)
  }

  private func isUnknown(_ name: String?, _ algorithm: SignatureAlgorithm) -> Bool {
    if case .keys = find(name, algorithm) { false } else { true }
  }

  private func find(_ name: String?, _ algorithm: SignatureAlgorithm) -> Lookup {
    guard let keys else { return .unavailable }
    let fitting = keys.filter { $0.algorithm == algorithm && (name == nil || $0.name == name) }
    guard fitting.isEmpty else { return .keys(fitting, reading: readings) }
    // A page that is told to get another token would ask its issuer for one again and again.
    return hasFailed ? .unavailable : .unknownKey
  }

  private func isOlder(_ time: ContinuousClock.Instant?, than age: Duration) -> Bool {
    time.map { .now - $0 > age } ?? true
  }

  // MARK: - Sets

  /// Begins to read the set, unless it is being read or was read just now. If that fails, the last set is kept.
  ///
  /// - Returns: the reading under way, which all callers share; nil if it is too early for another one.
  private func readAnew() -> Task<Void, Never>? {
    if let reading { return reading }
    guard isOlder(lastTry, than: leastPause) else { return nil }
    // A task of its own, so that a client that stops waiting does not cancel it for all. It is kept in `reading`, and ends with the
    // time-out of the question.
    let task = Task {
      await readSet()
      // Counted from the end of the reading. Otherwise all clients would wait all the time for a server that hangs.
      lastTry = .now
      reading = nil
    }
    reading = task
    return task
  }

  private func readSet() async {
    do {
      keys = try await prepareSet()
      lastRead = .now
      hasFailed = false
    } catch {
      hasFailed = true
      let fault = fault(for: error)
      var facts: Logger.Metadata = [
        "auth": "\(name)", "keys": "\(place)", "reason": "\(fault.reason)",
        "kept": "\(keys == nil ? "none" : "the last ones")",
      ]
      if let hint = fault.hint { facts["hint"] = "\(hint)" }
      log.warning("the key set was not read", metadata: facts)
    }
  }

  private func prepareSet() async throws -> [Key] {
    let set = try VerificationKeySet(try await contents(), allowed: allowed)
    var read: [Key] = []
    for entry in set.entries {
      read += await Self.prepare(entry.key, named: entry.name, for: entry.algorithms)
    }
    return read
  }

  private func fault(for error: any Error) -> AnswerFault {
    switch error {
    case let fault as KeyFault: return AnswerFault(reason: fault.message)
    case let fault as FileFault: return AnswerFault(reason: fault.message)
    case let fault as AnswerFault: return fault
    default:
      guard let server else { return AnswerFault(reason: "\(error)") }
      return AnswerFault(error, from: server.upstream)
    }
  }

  /// Reads the set, for `validate --connect`.
  ///
  /// - Returns: why it cannot be read; nil if it can.
  func tried() async -> AnswerFault? {
    do {
      _ = try await prepareSet()
      return nil
    } catch {
      return fault(for: error)
    }
  }

  private func contents() async throws -> [UInt8] {
    switch source {
    case .key: return []
    case .set(.file(let path), _): return try Disk().contents(of: path, as: .keys).get()
    case .set(.url, _):
      guard let server else { return [] }
      let answer = try await server.fetch([], within: Self.timeout, longest: Self.longestSet)
      guard answer.status == 200 else {
        throw AnswerFault(reason: answer.found, hint: answer.hint(for: server.upstream.fixedPath))
      }
      guard let body = answer.body else { throw KeyFault("the answer is too long") }
      return body
    }
  }

  private var place: String {
    switch source {
    case .key: ""
    case .set(.file(let path), _): path
    case .set(.url(let url), _): url.fixedURL
    }
  }

  private static func prepare(
    _ key: VerificationKey, named name: String? = nil, for algorithms: [SignatureAlgorithm]
  ) async -> [Key] {
    var keys: [Key] = []
    for algorithm in algorithms {
      guard let verifier = await key.verifier(algorithm) else { continue }
      keys.append(Key(name: name, algorithm: algorithm, verifier: verifier))
    }
    return keys
  }
}

extension VerificationKey {
  /// Makes the key ready for one algorithm. A shared secret can then sign, too.
  ///
  /// - Returns: nil if the key is not for the algorithm.
  func verifier(_ algorithm: SignatureAlgorithm) async -> (any JWTAlgorithm)? {
    guard algorithm.keyKind == kind else { return nil }
    let keys = JWTKeyCollection()
    switch self {
    case .secret(let bytes):
      // HMAC pads a short key with zeros itself (RFC 2104 section 2), but JWTKit requires it to be as long as the digest.
      let missing = max(0, (algorithm.leastSecret ?? 0) - bytes.count)
      let filled = bytes + [UInt8](repeating: 0, count: missing)
      await keys.add(hmac: HMACKey(from: filled), digestAlgorithm: algorithm.digest)
    case .rsa(let key):
      switch algorithm {
      case .ps256, .ps384, .ps512: await keys.add(pss: key, digestAlgorithm: algorithm.digest)
      default: await keys.add(rsa: key, digestAlgorithm: algorithm.digest)
      }
    case .p256(let key): await keys.add(ecdsa: key)
    case .p384(let key): await keys.add(ecdsa: key)
    case .p521(let key): await keys.add(ecdsa: key)
    case .ed25519(let key): await keys.add(eddsa: key)
    }
    return try? await keys.getKey()
  }
}

extension SignatureAlgorithm {
  fileprivate var digest: DigestAlgorithm {
    switch self {
    case .hs256, .rs256, .ps256, .es256, .edDSA: .sha256
    case .hs384, .rs384, .ps384, .es384: .sha384
    case .hs512, .rs512, .ps512, .es512: .sha512
    }
  }
}
