import ChannelLayers
import Sessions
import Synchronization
import Transport

/// Passes the work of requests on `publish` routes on to the workers.
///
/// A request waits, but a reactor never does: it gets the work in its mailbox, and answers when it can.
final class Publisher: Sendable {
  /// The result of publishing one event.
  struct Outcome: Sendable {
    var group: String
    /// Sessions of this process in the group at that moment.
    var sessions: Int
    var published: Published
  }

  private enum Job: Sendable {
    case work(@Sendable () async -> Void)
    case abandon
  }

  private let workers = Mutex<[Mailbox<WorkerMessage>]>([])
  /// The places for requests that are being carried out, by lane.
  private let places = PublishLane.allCases.map { _ in MemoryBudget(total: mostUnderWay) }
  private let laggingReads = LaggingReads()
  /// To requests with an idempotency key, of all routes.
  let answers = IdempotencyTable()
  private let memory: HTTPMemory
  private let refused: @Sendable (Int) -> Void
  private let jobs: AsyncStream<Job>
  private let job: AsyncStream<Job>.Continuation

  /// The most requests of one lane that are carried out at a time, after their bodies have arrived.
  private static let mostUnderWay = 256
  /// How long workers may take. A channel layer gives up earlier.
  private static let patience = Duration.seconds(15)

  /// - Parameter refused: called with the number of a request's events that workers had no room for.
  init(memory: HTTPMemory, refused: @escaping @Sendable (Int) -> Void = { _ in }) {
    self.memory = memory
    self.refused = refused
    (jobs, job) = AsyncStream.makeStream()
  }

  /// Registers the workers, before the first request.
  func connect(to workers: [Mailbox<WorkerMessage>]) {
    self.workers.withLock { $0 = workers }
  }

  // MARK: - Life

  /// Runs the work of `carryOut` until `finish`, even if the client of a request is gone.
  func run() async {
    await withDiscardingTaskGroup { tasks in
      for await job in jobs {
        switch job {
        case .work(let work): tasks.addTask { await work() }
        case .abandon: tasks.cancelAll()
        }
      }
    }
  }

  /// No request is left.
  func finish() {
    job.finish()
  }

  /// Cancels all waiting.
  func abandon() {
    job.yield(.abandon)
  }

  /// Runs work that has to be completed even if the client hangs up.
  ///
  /// - Parameter place: kept until then.
  func carryOut(in place: Place, _ work: @escaping @Sendable () async -> Void) {
    job.yield(
      .work {
        await work()
        withExtendedLifetime(place) {}
      })
  }

  /// One of a lane's places for requests under way. Given back with its last copy.
  struct Place: Sendable {
    fileprivate let place: MemoryShare
    /// The memory for the request's body, or for its answer.
    fileprivate let memory: MemoryShare?
  }

  /// Takes a place, once the whole request has arrived, so that a client with a slow body blocks nobody.
  ///
  /// - Parameter share: kept as long as the place.
  /// - Returns: nil if all places of the lane are taken.
  func enter(_ lane: PublishLane, holding share: MemoryShare? = nil) -> Place? {
    MemoryShare(1, of: places[lane.rawValue]).map { Place(place: $0, memory: share) }
  }

  /// An empty share of the memory for bodies of a lane.
  func share(of lane: PublishLane) -> MemoryShare {
    MemoryShare(of: memory.bodies(of: lane))
  }

  // MARK: - Asking

  /// How long a request waits for overloaded workers. After that its client is asked to try again.
  private static let patienceForRoom = Duration.seconds(1)

  /// Waits until every worker has room for more.
  ///
  /// - Parameter time: the most time to wait; the spent time is subtracted.
  /// - Returns: false if a worker has no room for too long; then no worker should be asked.
  func waitForRoom(within time: inout Duration) async -> Bool {
    let start = ContinuousClock.now
    defer { time = max(.zero, time - (ContinuousClock.now - start)) }
    for worker in workers.withLock({ $0 }) where worker.load.isOver {
      guard await worker.load.room(within: time - (ContinuousClock.now - start)) else { return false }
    }
    return true
  }

  /// Asks all workers at the same time.
  ///
  /// - Parameters:
  ///   - weight: the size of the question, in bytes.
  ///   - question: runs on the worker's reactor, and gives its answer then or later.
  /// - Returns: the answers by worker; nil if one stops, or took too long.
  func ask<Answer: Sendable>(
    weight: Int = 0,
    _ question: @escaping @Sendable (WorkerSessions, Int, @escaping @Sendable (Answer) -> Void) -> Void
  ) async -> [Answer?] {
    let workers = workers.withLock { $0 }
    return await withTaskGroup(of: (Int, Answer?)?.self) { tasks in
      for (index, worker) in workers.enumerated() {
        tasks.addTask {
          let (answers, answer) = AsyncStream.makeStream(of: Answer.self)
          let isPosted = worker.post(
            .perform { worker in
              question(worker, index) {
                answer.yield($0)
                answer.finish()
              }
            }, weight: weight)
          guard isPosted else { return (index, nil) }
          for await given in answers { return (index, given) }
          return (index, nil)
        }
      }
      tasks.addTask {
        try? await Task.sleep(for: Self.patience)
        return nil
      }
      defer { tasks.cancelAll() }
      var all = [Answer?](repeating: nil, count: workers.count)
      var missing = workers.count
      while missing > 0, let answered = await tasks.next(), let (index, answer) = answered {
        all[index] = answer
        missing -= 1
      }
      return all
    }
  }
}

// MARK: - Events

extension Publisher {
  /// The most that one question to a worker may contain, so that others have their turn.
  private static let largestPortion = (count: 100, bytes: 1 << 20)

  /// Publishes events in their order.
  func publish(_ events: [GroupEvent], on layer: any LayerBackend) async -> [Outcome] {
    var outcomes: [Outcome] = []
    var rest = events[...]
    // The time is for the whole request. After a part that is not sent, no later part is sent, so that there are no gaps.
    var patience = Self.patienceForRoom
    while !rest.isEmpty {
      guard await waitForRoom(within: &patience) else {
        refused(rest.count)
        return outcomes
          + rest.map { Outcome(group: $0.group, sessions: 0, published: Published(undelivered: .backlog)) }
      }
      var bytes = 0
      var portion = rest.prefix(Self.largestPortion.count).prefix { event in
        bytes += event.size
        return bytes <= Self.largestPortion.bytes
      }
      if portion.isEmpty { portion = rest.prefix(1) }
      rest = rest[portion.endIndex...]
      outcomes += await publish(portion: Array(portion), on: layer)
    }
    return outcomes
  }

  /// A worker's answer: the members of each event's group, and the results of the events that it published.
  private struct Answer: Sendable {
    var members: [Int]
    var published: [Int: Published] = [:]
  }

  private func publish(portion events: [GroupEvent], on layer: any LayerBackend) async -> [Outcome] {
    let count = workers.withLock { $0.count }
    let weight = events.reduce(0) { $0 + $1.size }
    let answers = await ask(weight: weight) { (worker, index, reply: @escaping @Sendable (Answer) -> Void) in
      let layer = worker.layers[layer].layer
      var answer = Answer(members: events.map { layer.groups.memberCount(of: $0.group) })
      // One worker publishes all events of a group, so that a request cannot overtake an earlier one.
      let own = events.indices.filter { Self.worker(for: events[$0].group, of: count) == index }
      var missing = own.count
      guard missing > 0 else { return reply(answer) }
      for place in own {
        layer.publish(events[place].event, to: events[place].group) { published in
          answer.published[place] = published
          missing -= 1
          if missing == 0 { reply(answer) }
        }
      }
    }
    return events.indices.map { place in
      let published = answers.lazy.compactMap { $0?.published[place] }.first
      return Outcome(
        group: events[place].group, sessions: answers.reduce(0) { $0 + ($1?.members[place] ?? 0) },
        published: published ?? Published(undelivered: .unconfirmed))
    }
  }

  private static func worker(for group: String, of count: Int) -> Int {
    Int(UInt(bitPattern: group.hashValue) % UInt(max(count, 1)))
  }

  /// Groups that one reactor visits in one turn.
  private static let groupsPerTurn = 1024

  /// The groups that one turn of a worker found.
  private struct FoundGroups: Sendable {
    var counts: [(group: String, members: Int)]
    var next: Int?
  }

  /// The first groups by name with members in this process, and the numbers of their members.
  ///
  /// However many groups there are, a reactor visits a few at a time, and little more than a page is kept.
  ///
  /// - Parameters:
  ///   - count: the most groups.
  ///   - isWanted: called on reactors, so it must be quick.
  ///   - isAllowed: called here.
  func groups(
    on layer: any LayerBackend, first count: Int, where isWanted: @escaping @Sendable (String) -> Bool,
    allowed isAllowed: (String) -> Bool
  ) async -> [(name: String, sessions: Int)] {
    var page = GroupPage(first: count)
    var starts: [Int?] = workers.withLock { $0.map { _ in 0 } }
    while starts.contains(where: { $0 != nil }) {
      let answers = await ask {
        [starts, last = page.last] (worker, index, reply: @escaping @Sendable (FoundGroups) -> Void) in
        guard let start = starts[index] else { return reply(FoundGroups(counts: [])) }
        let found = worker.layers[layer].layer.groups.memberCounts(from: start, most: Self.groupsPerTurn) {
          group in
          if let last, group > last { return false }
          return isWanted(group)
        }
        reply(FoundGroups(counts: found.counts, next: found.next))
      }
      guard !Task.isCancelled else { break }
      for answer in answers {
        for (group, members) in answer?.counts ?? [] where page.mayHold(group) && isAllowed(group) {
          page.add(members, of: group)
        }
      }
      starts = answers.map { $0?.next }
    }
    return page.groups
  }
}

/// The first groups by name of many that arrive in no order, and perhaps in several parts each.
struct GroupPage {
  private let count: Int
  private var sessions: [String: Int] = [:]
  /// No name after this one is needed any more; nil while there are few.
  private(set) var last: String?

  init(first count: Int) {
    self.count = count
  }

  func mayHold(_ group: String) -> Bool {
    last.map { group <= $0 } ?? true
  }

  mutating func add(_ members: Int, of group: String) {
    sessions[group, default: 0] += members
    // Only now and then, so that it costs each group little.
    guard sessions.count >= 2 * count + 256 else { return }
    let names = sessions.keys.sorted()
    last = names[count - 1]
    for name in names[count...] { sessions[name] = nil }
  }

  var groups: [(name: String, sessions: Int)] {
    sessions.sorted { $0.key < $1.key }.prefix(count).map { ($0.key, $0.value) }
  }
}

// MARK: - Users

extension Publisher {
  /// Ends the sessions of a user in this process.
  ///
  /// - Returns: how many sessions there were.
  func disconnect(_ order: DisconnectOrder) async -> Int {
    let answers = await ask { (worker, _, reply: @escaping @Sendable (Int) -> Void) in
      reply(worker.disconnect(user: order.user, reason: order.reason))
    }
    return answers.reduce(0) { $0 + ($1 ?? 0) }
  }

  /// Sends a control event to the other processes of some layers.
  ///
  /// - Returns: why one of them may not receive it; nil if all do.
  func tell(_ order: Event, on layers: [any LayerBackend]) async -> Undelivered? {
    var fault: Undelivered?
    for layer in layers {
      let outcomes = await publish([GroupEvent(order, to: ControlMember.group)], on: layer)
      fault = fault ?? outcomes.lazy.compactMap(\.published.undelivered).first
    }
    return fault
  }
}

// MARK: - History

extension Publisher {
  enum History: Sendable {
    case kept(HistorySlice)
    /// The group keeps no history.
    case notKept
    case unavailable
  }

  /// The most events in one answer, before they become text. Bytes.
  static let largestHistory = 1 << 20

  /// The kept events of the group after the position. Another process may have issued the position, and be ahead of this one.
  func history(of group: String, on layer: any LayerBackend, behind position: EventPosition?) async -> History
  {
    await laggingReads.read { await historyNow(of: group, on: layer, behind: position, $0) }
  }

  private func historyNow(
    of group: String, on layer: any LayerBackend, behind position: EventPosition?, _ read: LaggingReads.Read
  ) async -> History {
    let count = workers.withLock { $0.count }
    let answers = await ask { (worker, index, reply: @escaping @Sendable (History?) -> Void) in
      guard index == Self.worker(for: group, of: count) else { return reply(nil) }
      let layer = worker.layers[layer].layer
      // Only subscribed groups are known here.
      layer.subscribe(to: group) { outcome in
        guard outcome == .active else { return reply(.unavailable) }
        var slice = layer.history(of: group, behind: position, bytes: Self.largestHistory)
        if case .last = read, slice?.isAhead == true {
          slice = layer.historyBehindGap(of: group, bytes: Self.largestHistory)
        }
        layer.unsubscribe(from: group)
        reply(slice.map(History.kept) ?? .notKept)
      }
    }
    return answers.lazy.compactMap { $0 ?? nil }.first ?? .unavailable
  }
}
