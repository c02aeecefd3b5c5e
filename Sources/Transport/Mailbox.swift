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
  enum Progress {
    case done
    /// The time was over: what is left comes first the next time.
    case more
  }

  let receiveSome: () -> Progress
  let close: () -> Void

  static func make<Message: Sendable>(
    signal: WakeSignal, _ receive: @escaping (Message) -> Void
  ) -> (Mailbox<Message>, MailboxReceiver) {
    let contents = Mailbox<Message>.Contents(signal: signal)
    let taken = TakenMessages(from: contents)
    let receiver = MailboxReceiver(
      receiveSome: { taken.receiveSome(receive) },
      close: {
        contents.close()
        taken.removeAll()
      })
    return (Mailbox(contents: contents), receiver)
  }
}

/// What a reactor has taken out of a mailbox and not received.
private final class TakenMessages<Message: Sendable> {
  /// For one mailbox in one turn, of the reactor's processor time: that of a burst which the reactor has to get through anyway is
  /// not cut short because another thread got the processor.
  private static var longest: Duration { .milliseconds(5) }
  /// The clock is looked at once for so many.
  private static var messagesPerLook: Int { 64 }

  private let contents: Mailbox<Message>.Contents
  /// The last one comes first, so that each is let go of as it is received.
  private var messages: [Message] = []

  init(from contents: Mailbox<Message>.Contents) {
    self.contents = contents
  }

  func receiveSome(_ receive: (Message) -> Void) -> MailboxReceiver.Progress {
    let wereLeft = !messages.isEmpty
    if !wereLeft { messages = contents.takeAll().reversed() }
    let start = messages.count > Self.messagesPerLook ? MonotonicTime.usedByThread : .zero
    var count = 0
    while let message = messages.popLast() {
      receive(message)
      count += 1
      if count % Self.messagesPerLook == 0, !messages.isEmpty,
        MonotonicTime.usedByThread - start > Self.longest
      {
        return .more
      }
    }
    // The signal of what was posted behind those that had to wait may have been taken for theirs.
    return wereLeft ? .more : .done
  }

  func removeAll() {
    messages = []
  }
}
