import Synchronization

/// The end of a reactor that other threads may use: what is posted here is received on the reactor.
///
/// Messages of one thread are received in the order in which they were posted.
public struct Mailbox<Message: Sendable>: Sendable {
  fileprivate final class Contents: Sendable {
    private struct State {
      var messages: [Message] = []
      var isOpen = true
    }

    private let state = Mutex(State())
    private let signal: WakeSignal

    init(signal: WakeSignal) {
      self.signal = signal
    }

    func post(_ message: Message) -> Bool {
      let isOpen = state.withLock { state in
        guard state.isOpen else { return false }
        state.messages.append(message)
        return true
      }
      if isOpen { signal.raise() }
      return isOpen
    }

    func takeAll() -> [Message] {
      state.withLock { state in
        guard !state.messages.isEmpty else { return [] }
        defer { state.messages = [] }
        return state.messages
      }
    }

    /// What was posted and not received is let go of, after the lock.
    func close() {
      state.withLock { $0.isOpen = false }
      _ = takeAll()
    }
  }

  private let contents: Contents

  fileprivate init(contents: Contents) {
    self.contents = contents
  }

  /// - Returns: false where the reactor has stopped and will never receive it.
  @discardableResult
  public func post(_ message: Message) -> Bool {
    contents.post(message)
  }
}

/// The receiving end of a mailbox, kept by its reactor.
struct MailboxReceiver {
  let receiveAll: () -> Void
  let close: () -> Void

  static func make<Message: Sendable>(
    signal: WakeSignal, _ receive: @escaping (Message) -> Void
  ) -> (Mailbox<Message>, MailboxReceiver) {
    let contents = Mailbox<Message>.Contents(signal: signal)
    let receiver = MailboxReceiver(
      receiveAll: { for message in contents.takeAll() { receive(message) } }, close: contents.close)
    return (Mailbox(contents: contents), receiver)
  }
}
