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
      put(weight: posted.weight) { $0.append(posted) }
    }

    func post(_ several: [Posted]) -> Bool {
      put(weight: several.reduce(0) { $0 + $1.weight }) { messages in
        if messages.isEmpty { messages = several } else { messages += several }
      }
    }

    @inline(__always)
    private func put(weight: Int, _ add: (inout [Posted]) -> Void) -> Bool {
      load.add(weight)
      let isOpen = state.withLock { state in
        guard state.isOpen else { return false }
        add(&state.messages)
        return true
      }
      if isOpen { signal.raise() } else { load.subtract(weight) }
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

  init(signal: WakeSignal, load: WaitingLoad) {
    contents = Contents(signal: signal, load: load)
  }

  /// - Parameter weight: roughly the bytes of memory that the message refers to.
  /// - Returns: false if the reactor has stopped and will never receive the message.
  @discardableResult
  public func post(_ message: Message, weight: Int = 0) -> Bool {
    contents.post(Posted(message: message, weight: weight + WaitingLoad.messageSize))
  }

  /// Posts all of them at once, so that the reactor wakes up for the whole burst, and not for the first one of it.
  ///
  /// - Returns: as for one.
  @discardableResult
  public func post(_ burst: Burst) -> Bool {
    contents.post(burst.messages)
  }

  /// Messages that one producer gathers.
  public struct Burst: Sendable {
    fileprivate var messages: [Posted] = []

    public init() {}

    public var isEmpty: Bool { messages.isEmpty }

    /// - Parameter weight: as for `post`.
    public mutating func add(_ message: Message, weight: Int = 0) {
      messages.append(Posted(message: message, weight: weight + WaitingLoad.messageSize))
    }
  }

  /// What waits in all mailboxes of the reactor.
  public var load: WaitingLoad { contents.load }

  /// The receiving end. There may be only one.
  func receiver(_ receive: @escaping (Message) -> Void) -> any MailboxReceiver {
    TakenMessages(from: contents, receive)
  }
}

/// The receiving end of a mailbox, kept by its reactor.
protocol MailboxReceiver: AnyObject {
  /// - Returns: whether messages may be left. They come first in the next turn.
  func receiveSome() -> Bool

  func close()
}

/// The messages that a reactor has taken out of a mailbox and not handled yet.
private final class TakenMessages<Message: Sendable>: MailboxReceiver {
  /// The time for one mailbox in one turn. It is processor time of the reactor, so that a burst is not cut short because
  /// another thread had the processor.
  private static var longest: Duration { .milliseconds(5) }
  /// The clock is read once for this many messages.
  private static var messagesPerLook: Int { 64 }
  /// Handled messages are subtracted from the count at each look at the clock, and whenever they exceed this. Bytes.
  private static var countedAtOnce: Int { 64 * 1024 }

  private let contents: Mailbox<Message>.Contents
  private let receive: (Message) -> Void
  /// In reverse order, so that each message is freed as it is handled.
  private var messages: [Mailbox<Message>.Posted] = []

  init(from contents: Mailbox<Message>.Contents, _ receive: @escaping (Message) -> Void) {
    self.contents = contents
    self.receive = receive
  }

  func receiveSome() -> Bool {
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
        return true
      }
    }
    // The signal for messages posted later may have been consumed together with the signal for these.
    return wereLeft
  }

  func close() {
    contents.close()
    contents.discount(messages)
    messages = []
  }
}
