import GatewayConfig
import Glibc
import Logging
import Sessions
import Transport

/// What an upgrade does with the file, which the new program has read by then and can serve.
///
/// Where this program can read it, sessions are judged here, while nobody waits for the new program, and those that end are closed at a
/// pace. The new program judges all of them once more, in the same way.
enum UpgradedFile: Sendable {
  /// It is what is served already.
  case same
  /// The sessions are brought to it, as by a reload.
  case served(LoadedConfiguration, ExchangeCounts)
  /// A reload cannot serve it, as something in it needs the new program. Those that a reload would close are closed, and nobody comes
  /// in whom it would close; the others keep their routes until the new program has them.
  case foreseen(Configuration, ExchangeCounts)
  /// Only the new program can read it, which has keys that this one does not know. It closes the sessions that cannot go on.
  case unread

  /// How long it takes until the sessions are closed that it does not keep.
  var timeOfCloses: Duration {
    switch self {
    case .same, .unread: .zero
    case .served(_, let counts), .foreseen(_, let counts):
      ClosePlan(closingForeseen: counts.closed.values.reduce(0, +), next: .zero, handshakes: nil).closes
    }
  }
}

/// What an upgrade does to the sessions.
struct UpgradeForecast: Sendable {
  /// Of the new program.
  var version: String
  /// Those that go on.
  var sessions: Int
  var streams: Int
  /// Those that go on if what they wait for comes in time, such as an answer of their view. They are closed otherwise.
  var waiting: Int
  /// Those that are closed, by their close code.
  var closing: [UInt16: Int]
  /// Whether the file takes the place of what `sluice reload --previous` has brought back.
  var undoesPrevious: Bool
  /// Whether the new program takes no commands.
  var isSilent: Bool

  var closed: Int { closing.values.reduce(0, +) }
}

extension GatewayServer {
  /// Reads the file once more, with this program. Nothing is changed by it.
  ///
  /// - Throws: `UpgradeRefusal` where an address is in use, or something else cannot be had.
  func upgradedFile() async throws -> UpgradedFile {
    guard let source else { return .same }
    let loaded = try await FileThreads.shared.run { source.load(from: $0) }
    guard let other = loaded.configuration else { return .unread }
    guard other.digest != configuration.digest else { return .same }
    let refusal = await refusal(of: other)
    // Also what a reload would not come to, or not do.
    let trial = AddressTrial(
      listeners: inheritableListeners, commands: commandSockets.compactMap { BindAddress($0.address) },
      process: getpid())
    let fault = try await FileThreads.shared.run { _ -> StartFailure? in
      do throws(StartFailure) {
        try trial.check(other.server)
        return nil
      } catch {
        return error
      }
    }
    if let fault, !isStopping { throw UpgradeRefusal("the file cannot be served: \(fault)") }
    switch refusal {
    case nil: return .served(loaded, await predict(other, isHandingOver: true))
    case .needsUpgrade: return .foreseen(other, await predict(other, isHandingOver: true))
    case .notServing: throw UpgradeRefusal.stopping
    case .findings, .cannot, .notAsPlanned:
      throw UpgradeRefusal("the file cannot be served: \(refusal.map { "\($0)" } ?? "")")
    }
  }

  /// - Parameters:
  ///   - waiting: how many sessions were not in the trial, as they waited for something.
  ///   - bound: how many sessions cannot be handed over.
  func forecast(
    _ trial: TrialReport, waiting: Int, _ file: UpgradedFile, _ bound: Int
  ) -> UpgradeForecast {
    var closing: [UInt16: Int] = [:]
    switch file {
    case .same, .unread: closing = trial.closing
    case .served(_, let counts): closing = counts.closed
    case .foreseen(_, let counts):
      closing = counts.closed
      // The new program closes what it cannot go on with all the same.
      closing[ClientEnd.routeGone.code, default: 0] += max(0, trial.closed - closing.values.reduce(0, +))
    }
    // The trial has counted the sessions as they are before they are brought to the file.
    let staying = max(0, trial.sessions + trial.closed + waiting - closing.values.reduce(0, +))
    let waiting = min(waiting, staying)
    closing[configuration.shutdown.code, default: 0] += bound
    return UpgradeForecast(
      version: trial.version, sessions: staying - waiting, streams: trial.streams, waiting: waiting,
      closing: closing.filter { $0.value > 0 },
      undoesPrevious: current.isUndone && file.isOther, isSilent: trial.isSilent)
  }

  /// Has the sessions go on by what the file says now. Those that cannot are closed as by any reload: whoever may no longer be there is not
  /// handed over.
  ///
  /// - Parameters:
  ///   - done: gets what was changed.
  ///   - time: from the last close until the new program serves.
  /// - Returns: whether that took time.
  func bring(
    to file: UpgradedFile, for asker: String, _ rounds: WorkerRounds, _ done: inout [String],
    next time: Duration
  ) async throws(UpgradeRefusal) -> Bool {
    switch file {
    case .same: return false
    case .unread:
      log.notice(
        "only the new program can read the file: it closes the sessions that cannot go on by the routes there",
        metadata: ["asked-by": "\(asker)"])
      return false
    case .served(let loaded, _):
      let result = await exchange { _ in (loaded.configuration, loaded.report, nil) }
      if case .notServing = result.refusal { throw .stopping }
      if let refusal = result.refusal { throw UpgradeRefusal("the file cannot be served: \(refusal)") }
      log.notice(
        "the file was reloaded",
        metadata: facts(of: result, asker).merging(["for": "an upgrade"]) { $1 })
      let closed = result.counts.closed.isEmpty ? "" : ", which has closed \(result.counts.words)"
      done.append("the file was reloaded\(closed)")
    case .foreseen(let other, let expected):
      let plan = ClosePlan(
        closingForeseen: expected.closed.values.reduce(0, +), next: time,
        handshakes: configuration.server.handshakes)
      let counts = await predict(other, closing: plan)
      guard !counts.closed.isEmpty else { break }
      log.notice(
        "sessions are closed that the file of the new program does not keep",
        metadata: ["asked-by": "\(asker)"].merging(counts.facts) { $1 })
      done.append("the file has closed \(counts.words)")
    }
    await waitForCloses(rounds)
    return true
  }

  /// The last of those that a reload does not keep are closed some seconds later.
  func waitForCloses(_ rounds: WorkerRounds) async {
    let end = MonotonicTime.now + Self.longestCloses
    while MonotonicTime.now < end, !isStopping, await rounds.each({ $0.sessions.isClosing }).contains(true) {
      try? await Task.sleep(for: .milliseconds(20))
    }
  }

  private static let longestCloses = Duration.seconds(10)
}

extension UpgradedFile {
  /// Whether it is not what is served.
  fileprivate var isOther: Bool { if case .same = self { false } else { true } }
}

extension ExchangeCounts {
  /// `3 sessions (1012: 2, 4401: 1)`
  fileprivate var words: String {
    let codes = closed.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
    return "\(closed.values.reduce(0, +)) sessions (\(codes.joined(separator: ", ")))"
  }
}
