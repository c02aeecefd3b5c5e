import Synchronization
import WebSocketCore

/// The memory for context takeover of all sessions of the process together (`limits.compression_memory`).
final class ContextBudget: Sendable {
  private let total: Int
  private let reserved = Atomic<Int>(0)

  init(total: Int) {
    self.total = total
  }

  /// - Returns: nil if so much is not left.
  func reserve(_ size: Int) -> ContextReservation? {
    guard reserved.add(size, ordering: .relaxed).newValue <= total else {
      reserved.subtract(size, ordering: .relaxed)
      return nil
    }
    return ContextReservation(size, of: self)
  }

  fileprivate func giveBack(_ size: Int) {
    reserved.subtract(size, ordering: .relaxed)
  }

  var isUnused: Bool { reserved.load(ordering: .relaxed) == 0 }
}

/// A part of the budget. Releasing the object gives it back.
final class ContextReservation: Sendable {
  private let size: Int
  private let budget: ContextBudget

  fileprivate init(_ size: Int, of budget: ContextBudget) {
    self.size = size
    self.budget = budget
  }

  deinit {
    budget.giveBack(size)
  }
}

extension CompressionAgreement {
  /// The memory that a session with this agreement keeps between messages, in bytes.
  var contextSize: Int {
    (serverContext == .kept ? Deflater.contextSize(windowBits: serverWindowBits) : 0)
      + (clientContext == .kept ? Inflater.contextSize(windowBits: clientWindowBits) : 0)
  }
}
