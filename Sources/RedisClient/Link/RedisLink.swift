import Transport

/// A connection to a Redis server that is kept: whenever it ends, it is opened again, after waits that grow while it is of no use.
///
/// Confined to the actor that owns it. The actor says what the connection is for, and when the server has granted it.
public final class RedisLink<Connection: KeptConnection> {
  /// How long a connection that is asked for signs of life may be silent.
  private let silence: Duration
  private let connect: @Sendable () async throws -> Connection
  private let life: RedisLife
  private let outage: OutageLog
  private let clock: RedisClock
  private var backoff = Backoff()

  /// The open connection, even if it cannot be used yet.
  package private(set) var connection: Connection?
  /// When the server granted what the connection is for; nil before.
  private var upSince: MonotonicTime?
  /// Why the server refused what the connection is for.
  package private(set) var refusal: RedisFailure?
  /// When something was received, to the beat before.
  private var lastHeard: MonotonicTime
  private var hasHeard = false

  /// - Parameters:
  ///   - outage: where failures are reported, except those of a stop.
  ///   - connect: makes one attempt. It ends when its task is cancelled.
  package init(
    _ life: RedisLife, reporting outage: OutageLog, silence: Duration = .seconds(15),
    clock: RedisClock = .system, connect: @escaping @Sendable () async throws -> Connection
  ) {
    self.life = life
    self.outage = outage
    self.silence = silence
    self.clock = clock
    self.connect = connect
    lastHeard = clock.now()
  }

  package var isUp: Bool { upSince != nil }

  package func hasBeenUp(for time: Duration) -> Bool {
    upSince.map { clock.now().since($0) > time } ?? false
  }

  /// Keeps the connection until a stop.
  ///
  /// - Parameters:
  ///   - use: called for each open connection. It calls `confirm` once the server has granted what the connection is for, and
  ///     throws the reason for the outage when the connection has ended. If it returns, no outage is reported.
  ///   - ended: called with what `use`, or the attempt, has thrown. There is no connection then.
  package func keep(_ use: (Connection) async throws -> Void, ended: ((any Error)?) -> Void) async {
    while !life.isStopping {
      var failure: (any Error)?
      do {
        let connection = try await connect()
        guard !life.isStopping else { return connection.close() }
        open(connection)
        try await use(connection)
      } catch {
        failure = error
      }
      if let failure, !life.isStopping { outage.report(failure) }
      // A connection that was never granted its purpose is no success, and neither is one whose purpose was refused later.
      if isUp, refusal == nil { backoff.reset(at: clock.now()) }
      connection?.close()
      connection = nil
      upSince = nil
      ended(failure)
      // A stop does not wait for the end of the pause: it cancels the task.
      guard !life.isStopping else { return }
      try? await clock.sleep(backoff.wait(at: clock.now()))
    }
  }

  private func open(_ connection: Connection) {
    self.connection = connection
    refusal = nil
    hasHeard = false
    lastHeard = clock.now()
  }

  /// The server has granted what the connection is for. Returns whether this is news.
  @discardableResult
  package func confirm() -> Bool {
    guard connection != nil, !isUp else { return false }
    upSince = clock.now()
    backoff.answered(at: clock.now())
    return true
  }

  /// The server refuses what the connection is for, so the connection ends.
  package func refuse(_ failure: RedisFailure) {
    refusal = failure
    connection?.close()
  }

  // MARK: - Signs of life

  /// Something was received. Called for every message, so the time is not read.
  public func heard() {
    hasHeard = true
  }

  /// A message of a subscription was received. An error ends the connection: without its subscriptions it is of no use, and the
  /// error does not say which one failed.
  public func heard(_ message: RESPValue) {
    heard()
    if case .error(let fault) = message { refuse(.refused(RedisRefusal(fault))) }
  }

  /// Ends a connection that was silent for too long. Called at every beat by owners that ask for signs of life.
  package func closeIfSilent() {
    guard let connection else { return }
    let now = clock.now()
    if hasHeard || connection.isPaused { lastHeard = now }
    hasHeard = false
    if now.since(lastHeard) > silence { connection.close() }
  }

  /// Ends the connection. Unless the owner is stopping, it is opened again.
  package func close() {
    connection?.close()
  }
}
