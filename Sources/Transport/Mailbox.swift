import Synchronization

/// The end of a reactor that other threads may use: what is posted here is received on the reactor.
///
/// Messages of one thread are received in the order in which they were posted. What waits in all mailboxes of a reactor is counted
/// and has a bound (`Reactor.boundMail`), above which producers have to hold back.
public struct Mailbox<Message: Sendable>: Sendable {
  fileprivate struct Posted: Sendable {
    let message: Message
    /// What it is counted with. Bytes.
    let weight: Int
  }

  fileprivate final class Contents: Sendable {
    private struct State {
      var messages: [Posted] = []
      var isOpen = true
    }

    private let state = Mutex(State())
    private let signal: WakeSignal
    let load: WaitingLoad

    init(signal: WakeSignal, load: WaitingLoad) {
      self.signal = signal
      self.load = load
    }

    func post(_ posted: Posted) -> Bool {
      load.add(posted.weight)
      let isOpen = state.withLock { state in
        guard state.isOpen else { return false }
        state.messages.append(posted)
        return true
      }
      if isOpen { signal.raise() } else { load.subtract(posted.weight) }
      return isOpen
    }

    func takeAll() -> [Posted] {
      state.withLock { state in
        guard !state.messages.isEmpty else { return [] }
        defer { state.messages = [] }
        return state.messages
      }
    }

    /// What was posted and not received is let go of, after the lock.
    func close() {
      state.withLock { $0.isOpen = false }
      discount(takeAll())
    }

    func discount(_ messages: [Posted]) {
      load.subtract(messages.reduce(0) { $0 + $1.weight })
    }
  }

  private let contents: Contents

  fileprivate init(contents: Contents) {
    self.contents = contents
  }

  /// - Parameter weight: what it refers to takes, roughly, in bytes.
  /// - Returns: false where the reactor has stopped and will never receive it.
  @discardableResult
  public func post(_ message: Message, weight: Int = 0) -> Bool {
    contents.post(Posted(message: message, weight: weight + WaitingLoad.messageSize))
  }

  /// What waits in all mailboxes of the reactor.
  public var load: WaitingLoad { contents.load }
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
    signal: WakeSignal, load: WaitingLoad, _ receive: @escaping (Message) -> Void
  ) -> (Mailbox<Message>, MailboxReceiver) {
    let contents = Mailbox<Message>.Contents(signal: signal, load: load)
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
  /// What was received is taken off the count at each look, and when it is more than this. Bytes.
  private static var countedAtOnce: Int { 64 * 1024 }

  private let contents: Mailbox<Message>.Contents
  /// The last one comes first, so that each is let go of as it is received.
  private var messages: [Mailbox<Message>.Posted] = []

  init(from contents: Mailbox<Message>.Contents) {
    self.contents = contents
  }

  func receiveSome(_ receive: (Message) -> Void) -> MailboxReceiver.Progress {
    let wereLeft = !messages.isEmpty
    if !wereLeft { messages = contents.takeAll().reversed() }
    let start = messages.count > Self.messagesPerLook ? MonotonicTime.usedByThread : .zero
    var count = 0
    var received = 0
    defer { if received > 0 { contents.load.subtract(received) } }
    while let posted = messages.popLast() {
      receive(posted.message)
      received += posted.weight
      count += 1
      if received > Self.countedAtOnce {
        contents.load.subtract(received)
        received = 0
      }
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
    contents.discount(messages)
    messages = []
  }
}
