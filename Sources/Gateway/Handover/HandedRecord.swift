import Synchronization

/// The record of the process before, until the gateway goes on with what is in it: for the life of the process that would be the memory of
/// all sessions and histories once more, and secrets of then.
package final class HandedRecord: Sendable {
  private let handed: Mutex<GatewayRecord?>

  package init(_ record: GatewayRecord) {
    handed = Mutex(record)
  }

  /// To be kept no longer than for a call; nil once the gateway goes on with it.
  package var record: GatewayRecord? { handed.withLock(\.self) }

  /// The same, which is given up here.
  func take() -> GatewayRecord? { handed.withLock { $0.take() } }
}
