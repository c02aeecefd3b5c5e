import ChannelLayers
import Synchronization
import Transport

/// Asks the workers for what requests on `publish` routes want of them.
///
/// A request waits; a reactor never does: it is asked in its mailbox, and answers when it can.
final class Publisher: Sendable {
  /// What became of one event.
  struct Outcome: Sendable {
    var group: String
    /// Of this process, in the group at that moment.
    var sessions: Int
    var published: Published
  }

  private enum Job: Sendable {
    case work(@Sendable () async -> Void)
    case abandon
  }

  /// Requests of one lane that are being carried out.
  fileprivate final class Lane: Sendable {
    let underWay = Atomic<Int>(0)
  }

  private let workers = Mutex<[Mailbox<WorkerMessage>]>([])
  private let lanes = PublishLane.allCases.map { _ in Lane() }
  private let memory: HTTPMemory
  private let refused: @Sendable (Int) -> Void
  private let jobs: AsyncStream<Job>
  private let job: AsyncStream<Job>.Continuation

  /// Requests of one lane that are being carried out; their bodies are there.
  private static let mostUnderWay = 256
  /// How long workers may take. A channel layer gives up earlier.
  private static let patience = Duration.seconds(15)

  /// - Parameter refused: told how many events of a request workers had no room for.
  init(memory: HTTPMemory, refused: @escaping @Sendable (Int) -> Void = { _ in }) {
    self.memory = memory
    self.refused = refused
    (jobs, job) = AsyncStream.makeStream()
  }

  /// Makes the workers known, before the first request.
  func connect(to workers: [Mailbox<WorkerMessage>]) {
    self.workers.withLock { $0 = workers }
  }

  // MARK: - Life

  /// Does the work of `carryOut` until `finish`, whether or not anybody still waits for it.
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

  /// Waits for nobody any more.
  func abandon() {
    job.yield(.abandon)
  }

  /// Does something that is to be done to its end even if whoever asked for it hangs up.
  ///
  /// - Parameter place: kept until then.
  func carryOut(in place: Place, _ work: @escaping @Sendable () async -> Void) {
    job.yield(
      .work {
        await work()
        withExtendedLifetime(place) {}
      })
  }

  /// One of a lane's places for requests under way, free again when nothing refers to it.
  final class Place: Sendable {
    private let lane: Lane
    /// What the request's body, or what is made for its answer, takes up meanwhile.
    private let share: MemoryShare?

    fileprivate init(_ lane: Lane, _ share: MemoryShare?) {
      self.lane = lane
      self.share = share
    }

    deinit {
      lane.underWay.subtract(1, ordering: .relaxed)
    }
  }

  /// Takes a place, once all of the request is there: a client that is slow with its body keeps nobody else out.
  ///
  /// - Parameter share: kept for as long as the place.
  /// - Returns: nil where all places of the lane are taken.
  func enter(_ lane: PublishLane, holding share: MemoryShare? = nil) -> Place? {
    let lane = lanes[lane.rawValue]
    guard lane.underWay.add(1, ordering: .relaxed).newValue > Self.mostUnderWay else {
      return Place(lane, share)
    }
    lane.underWay.subtract(1, ordering: .relaxed)
    return nil
  }

  /// A share, still empty, of the memory for bodies of a lane.
  func share(of lane: PublishLane) -> MemoryShare {
    MemoryShare(of: memory.bodies(of: lane))
  }

  // MARK: - Asking

  /// How long a request waits for workers that have too much to do. Whoever made it is then told to come again.
  private static let patienceForRoom = Duration.seconds(1)

  /// Waits until every worker has room for more.
  ///
  /// - Parameter time: how long; what of it was spent is taken from it.
  /// - Returns: false where one has none for too long; then nothing should be asked of any.
  func waitForRoom(within time: inout Duration) async -> Bool {
    let start = ContinuousClock.now
    defer { time = max(.zero, time - (ContinuousClock.now - start)) }
    for worker in workers.withLock({ $0 }) where worker.load.isOver {
      guard await worker.load.room(within: time - (ContinuousClock.now - start)) else { return false }
    }
    return true
  }

  /// Asks every worker at the same time.
  ///
  /// - Parameters:
  ///   - weight: what the question brings with it, in bytes.
  ///   - question: on the worker's reactor; it gives its answer then or later.
  /// - Returns: the answers, by worker; nil where one stops, or took too long.
  func ask<Answer: Sendable>(
    weight: Int = 0,
    _ question: @escaping @Sendable (Worker, Int, @escaping @Sendable (Answer) -> Void) -> Void
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
  /// What one question to a worker brings with it at most, so that others have their turn.
  private static let largestPortion = (count: 100, bytes: 1 << 20)

  /// Publishes events in their order.
  func publish(_ events: [GroupEvent], on layer: Int) async -> [Outcome] {
    var outcomes: [Outcome] = []
    var rest = events[...]
    // Of the whole request. A part that is not sent has nothing sent behind it, so that no hole is in the middle.
    var patience = Self.patienceForRoom
    while !rest.isEmpty {
      guard await waitForRoom(within: &patience) else {
        refused(rest.count)
        return outcomes
          + rest.map { Outcome(group: $0.group, sessions: 0, published: Published(undelivered: .backlog)) }
      }
      var bytes = 0
      var portion = rest.prefix(Self.largestPortion.count).prefix { event in
        bytes += event.weight
        return bytes <= Self.largestPortion.bytes
      }
      if portion.isEmpty { portion = rest.prefix(1) }
      rest = rest[portion.endIndex...]
      outcomes += await publish(portion: Array(portion), on: layer)
    }
    return outcomes
  }

  /// What a worker says: the members of each event's group, and what became of the events that it published.
  private struct Answer: Sendable {
    var members: [Int]
    var published: [Int: Published] = [:]
  }

  private func publish(portion events: [GroupEvent], on layer: Int) async -> [Outcome] {
    let count = workers.withLock { $0.count }
    let weight = events.reduce(0) { $0 + $1.weight }
    let answers = await ask(weight: weight) { (worker, index, reply: @escaping @Sendable (Answer) -> Void) in
      let layer = worker.layers[layer].layer
      var answer = Answer(members: events.map { layer.groups.memberCount(of: $0.group) })
      // All events of a group go out through one worker, so that one request cannot overtake the one before it.
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

  /// Groups that one reactor looks at in one turn.
  private static let groupsPerTurn = 1024

  /// What one turn of a worker found.
  private struct FoundGroups: Sendable {
    var counts: [(group: String, members: Int)]
    var next: Int?
  }

  /// The first groups, in the order of their names, that have members in this process, with how many those are.
  ///
  /// However many groups there are, a reactor looks at a few of them at a time, and little more than a page is kept.
  ///
  /// - Parameters:
  ///   - count: how many groups at most.
  ///   - isWanted: asked on reactors, so it has to be quick.
  ///   - isAllowed: asked here.
  func groups(
    on layer: Int, first count: Int, where isWanted: @escaping @Sendable (String) -> Bool,
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

/// The first groups by name of many that come in no order, each perhaps in several parts.
struct GroupPage {
  private let count: Int
  private var sessions: [String: Int] = [:]
  /// Nothing behind this name is needed any more; nil while there are few.
  private(set) var last: String?

  init(first count: Int) {
    self.count = count
  }

  func mayHold(_ group: String) -> Bool {
    guard let last else { return true }
    return group <= last
  }

  mutating func add(_ members: Int, of group: String) {
    sessions[group, default: 0] += members
    // Now and then, so that it costs each group little.
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
  /// - Returns: how many there were.
  func disconnect(_ order: DisconnectOrder) async -> Int {
    let answers = await ask { (worker, _, reply: @escaping @Sendable (Int) -> Void) in
      reply(worker.disconnect(user: order.user, reason: order.reason))
    }
    return answers.reduce(0) { $0 + ($1 ?? 0) }
  }

  /// Tells the other processes of some layers what to do.
  ///
  /// - Returns: why one of them may not hear it; nil where all do.
  func tell(_ order: Event, redis layers: [Int]) async -> Undelivered? {
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
    /// The group has none.
    case notKept
    case unavailable
  }

  /// What one answer brings at most, before its text is made. Bytes.
  static let largestHistory = 1 << 20

  /// What is kept of the group behind the position; that may be known from another process, which is ahead of this one.
  func history(of group: String, on layer: Int, behind position: EventPosition?) async -> History {
    var copy = LaggingCopy()
    while true {
      let history = await historyNow(of: group, on: layer, behind: position)
      guard case .kept(let slice) = history, let pause = copy.pause(before: slice) else { return history }
      // Where the request is given up nobody waits for the answer, and it may as well be this one.
      do { try await Task.sleep(for: pause) } catch { return history }
    }
  }

  private func historyNow(of group: String, on layer: Int, behind position: EventPosition?) async -> History {
    let count = workers.withLock { $0.count }
    let answers = await ask { (worker, index, reply: @escaping @Sendable (History?) -> Void) in
      guard index == Self.worker(for: group, of: count) else { return reply(nil) }
      let layer = worker.layers[layer].layer
      // Only what is listened to is known here.
      layer.subscribe(to: group) { outcome in
        guard outcome == .active else { return reply(.unavailable) }
        let slice = layer.history(of: group, behind: position, bytes: Self.largestHistory)
        layer.unsubscribe(from: group)
        reply(slice.map(History.kept) ?? .notKept)
      }
    }
    return answers.lazy.compactMap { $0 ?? nil }.first ?? .unavailable
  }
}
