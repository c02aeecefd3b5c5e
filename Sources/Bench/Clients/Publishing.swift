import Transport
import WebSocketCore

/// The publishers of a run, all on one reactor. Decides when each of them sends.
final class Publishing: EndOfTurn {
  private let pace: Load.Pace
  private let crew: Crew
  private var publishers: [LoadClient] = []
  private var sequences: [UInt32] = []
  /// With requests: of each publisher, what is not answered yet.
  private var unanswered: [SentTimes] = []
  /// Whether a publisher is waiting for another connection.
  private var isInterrupted: [Bool] = []
  /// With a window: the state of each publisher's window.
  private var stalls: [Stall] = []
  /// For each reactor and publisher, how many messages the subscribers have received; empty for a reactor without subscribers.
  private var completed: [[Int]]
  /// What a publisher sends at once, and how many messages that are.
  private let messages = SharedBytes(capacity: 64 * 1024)
  private var gathered = 0
  private var isWorking = false
  private var isPublishing = false
  /// With a rate: when the next message is due, and which publisher sends it.
  private var nextDue: UInt64 = 0
  private var turn = 0

  private struct Stall {
    /// How many messages all subscribers had received, and since when.
    var done = 0
    var since: UInt64
    /// Messages that were sent beyond the window.
    var extra = 0
  }

  /// If nothing was completed for this long, a message is lost. One more message is then sent, after which the earlier ones are
  /// not waited for any more.
  private static let patience: UInt64 = 1_000_000_000
  /// A publisher with more unsent bytes waits with its next message.
  private static let highWater = 1 << 20
  /// The most messages that a late tick makes up for.
  private static let mostAtOnce = 4096

  init(_ pace: Load.Pace, crews: Int, crew: Crew) {
    self.pace = pace
    self.crew = crew
    completed = Array(repeating: [], count: crews)
  }

  /// - Returns: the number of the publisher.
  func add(_ publisher: LoadClient) -> Int {
    publishers.append(publisher)
    sequences.append(0)
    unanswered.append(SentTimes())
    isInterrupted.append(false)
    stalls.append(Stall(since: 0))
    return publishers.count - 1
  }

  /// How often `tick` has to be called.
  static func interval(_ pace: Load.Pace) -> Duration {
    switch pace {
    case .rate(let rate): .seconds(max(1 / rate, 0.0005))
    case .window: .milliseconds(100)
    }
  }

  func begin() {
    isPublishing = true
    nextDue = MonotonicTime.now.nanoseconds
    for index in stalls.indices { stalls[index].since = nextDue }
    if case .window = pace { work() }
  }

  func halt() {
    isPublishing = false
  }

  /// The number of messages of each publisher that the subscribers of a reactor have received.
  func completed(_ counts: [Int], by index: Int) {
    completed[index] = counts
    if case .window = pace { work() }
  }

  /// A request of the publisher is answered.
  func answered(_ index: Int) {
    _ = unanswered[index].removeFirst()
  }

  /// The publisher waits for another connection, and with a rate everybody waits for it: what is late is sent then.
  func interrupt(_ index: Int) {
    isInterrupted[index] = true
  }

  /// The publisher has no connection any more.
  func end(_ index: Int) {
    isInterrupted[index] = false
  }

  /// The publisher has another connection, on which what was not answered is sent again.
  func resume(_ index: Int, with publisher: LoadClient) {
    publishers[index] = publisher
    isInterrupted[index] = false
    let times = unanswered[index]
    for offset in 0..<UInt32(times.count) where isPublishing {
      gather(times.first &+ offset, of: index, stampedAt: times[times.first &+ offset])
    }
    flush(index)
    if case .window = pace { work() }
  }

  private func work() {
    guard isPublishing, !isWorking else { return }
    isWorking = true
    crew.reactor.atEndOfTurn(self)
  }

  func endOfTurn() {
    isWorking = false
    guard isPublishing, case .window(let size) = pace else { return }
    let now = MonotonicTime.now.nanoseconds
    for index in publishers.indices {
      let done = completed.lazy.filter { !$0.isEmpty }.map { $0[index] }.min() ?? 0
      if done > stalls[index].done { stalls[index] = Stall(done: done, since: now) }
      let free = size + stalls[index].extra - (Int(sequences[index]) - done)
      for _ in 0..<max(0, free) { append(index, stampedAt: now) }
      flush(index)
    }
  }

  func tick() {
    guard isPublishing else { return }
    let now = MonotonicTime.now.nanoseconds
    switch pace {
    case .rate(let rate): publishDue(rate, now)
    case .window: endStalls(now)
    }
  }

  private func endStalls(_ now: UInt64) {
    for index in stalls.indices where now > stalls[index].since + Self.patience {
      stalls[index].since = now
      stalls[index].extra += 1
      work()
    }
  }

  /// Publishes the messages that are due. They are stamped with the time at which they were due, so that a stall shows as
  /// latency.
  private func publishDue(_ rate: Double, _ now: UInt64) {
    let interval = UInt64(1e9 / rate)
    var due: [[UInt64]] = Array(repeating: [], count: publishers.count)
    var count = 0
    while nextDue <= now, count < Self.mostAtOnce, !isInterrupted[turn],
      publishers[turn].queuedBytes < Self.highWater
    {
      due[turn].append(nextDue)
      nextDue += interval
      turn = (turn + 1) % publishers.count
      count += 1
    }
    for (index, times) in due.enumerated() {
      for time in times { append(index, stampedAt: time) }
      flush(index)
    }
  }

  private func append(_ index: Int, stampedAt time: UInt64) {
    guard publishers[index].isOpen else { return }
    gather(sequences[index], of: index, stampedAt: time)
    sequences[index] += 1
    // A request is published when it is answered.
    if crew.plan.publishing.target.speech == .webSocket {
      crew.published()
    } else {
      unanswered[index].append(time)
    }
  }

  private func gather(_ number: UInt32, of index: Int, stampedAt time: UInt64) {
    let stamp = Stamp(run: crew.plan.run, sender: UInt32(index), sequence: number, nanoseconds: time)
    crew.message.write(stamp.words)
    crew.message.withBytes { messages.append($0) }
    gathered += 1
  }

  private func flush(_ index: Int) {
    guard gathered > 0 else { return }
    publishers[index].send(messages, count: gathered)
    messages.clear()
    gathered = 0
  }
}

/// Publishes. Messages that it receives are not counted.
final class PublisherPart: ClientPart {
  let publishes = true
  private let publishing: Publishing
  /// Nil before it begins.
  private var index: Int?

  init(_ publishing: Publishing) {
    self.publishing = publishing
  }

  func begin(_ client: LoadClient, _ crew: Crew) {
    index = publishing.add(client)
  }

  func answered(isAccepted: Bool, for client: LoadClient, _ crew: Crew) {
    if let index { publishing.answered(index) }
  }

  func interrupted(_ client: LoadClient, _ crew: Crew) {
    if let index { publishing.interrupt(index) }
  }

  func reopened(_ client: LoadClient, _ crew: Crew) {
    if let index { publishing.resume(index, with: client) }
  }

  func ended(_ crew: Crew) {
    if let index { publishing.end(index) }
  }

  func received(_ kind: MessageKind, _ payload: RawSpan, for client: LoadClient, _ crew: Crew) {
    if Stamp.find(in: payload, place: &crew.stampPlace) == nil {
      crew.gotWrong(payload, "a publisher received it")
    }
  }
}
