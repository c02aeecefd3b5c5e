import GatewayConfig
import Synchronization

/// What is served, and what is exchanged when the file changes.
final class ServedFile: Sendable {
  /// What was served before the last reload.
  enum Previous: Sendable {
    case configuration(Configuration)
    /// By the process before, which has handed its files over. Without secrets.
    case written(ConfigurationFiles)

    /// Without secrets, which are read anew: what was revoked meanwhile stays revoked. Nil for what was read from no file.
    var written: ConfigurationFiles? {
      switch self {
      case .configuration(let configuration): configuration.written?.source.withoutSecrets
      case .written(let written): written
      }
    }
  }

  private struct State {
    var configuration: Configuration
    var previous: Previous?
    /// Whether what was served before the last reload was brought back, and is not what the file said last.
    var isUndone = false
    /// Why the last reload was refused; nil where it was not.
    var refusal: String?
  }

  private let state: Mutex<State>
  /// The addresses; nil while nothing is served.
  let sockets = Mutex<ListeningSockets?>(nil)

  /// - Parameter record: of the process before; nil for a start.
  init(_ configuration: Configuration, after record: GatewayRecord?) {
    // The file may have changed with the upgrade.
    let isNew = record.map { $0.served?.saysTheSame(as: configuration.written?.source) != true } ?? false
    let previous = isNew ? record?.served : record?.previous
    state = Mutex(
      State(configuration: configuration, previous: previous.map { .written($0.withoutSecrets) }))
  }

  var configuration: Configuration { state.withLock(\.configuration) }
  var hash: String { configuration.hash }

  /// Nil before the first reload.
  var previous: Previous? { state.withLock(\.previous) }

  var isUndone: Bool { state.withLock(\.isUndone) }

  /// Says that it serves what it has served before, whatever the file says.
  func undone() {
    state.withLock { $0.isUndone = true }
  }

  var refusal: String? { state.withLock(\.refusal) }

  func refused(for reason: String?) {
    state.withLock { $0.refusal = reason }
  }

  /// Certificates have been read again, and nothing else.
  func renew(_ tls: ServerTLS) {
    state.withLock { state in
      // A reload may have been quicker.
      if state.configuration.server.tls?.isRenewal(of: tls) == true { state.configuration.server.tls = tls }
    }
  }

  func serve(_ configuration: Configuration) {
    state.withLock { state in
      // A reload that has found nothing new, or only other certificates and secrets, is none to undo.
      let isSame =
        configuration.written?.source.saysTheSame(as: state.configuration.written?.source)
        ?? (state.configuration.written == nil)
      if !isSame { state.previous = .configuration(state.configuration) }
      state.configuration = configuration
      state.isUndone = false
    }
  }
}
