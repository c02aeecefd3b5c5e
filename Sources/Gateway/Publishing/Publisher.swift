import ChannelLayers
import Sessions
import Synchronization
import Transport

/// What the requests on `publish` routes share: their places and memory, the answers to repeated ones, and the way to all workers.
///
/// A request belongs to the reactor that has read it. That reactor does its own part at once, and asks another one through its
/// mailbox.
final class Publisher: Sendable {
  /// The result of publishing one event.
  struct Outcome: Sendable, Equatable {
    var group: String
    /// Sessions of this process in the group at that moment.
    var sessions: Int
    var published: Published
  }

  private let workers = Mutex<[Mailbox<WorkerMessage>]>([])
  /// The places for requests that are being carried out, by lane.
  private let places = PublishLane.allCases.map { _ in MemoryBudget(total: mostUnderWay) }
  private let laggingReads = LaggingReads()
  /// To requests with an idempotency key, of all routes.
  let answers = IdempotencyTable()
  private let memory: HTTPMemory
  /// Called with the number of a request's events that workers had no room for.
  let refused: @Sendable (Int) -> Void

  /// The most requests of one lane that are carried out at a time, after their bodies have arrived.
  private static let mostUnderWay = 256
  /// How long workers may take. A channel layer gives up earlier.
  static let patience = Duration.seconds(15)

  init(memory: HTTPMemory, refused: @escaping @Sendable (Int) -> Void = { _ in }) {
    self.memory = memory
    self.refused = refused
  }

  /// Registers the workers, by their numbers, before the first request.
  func connect(to workers: [Mailbox<WorkerMessage>]) {
    self.workers.withLock { $0 = workers }
  }

  // MARK: - Places

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

  /// What waits for each worker.
  var loads: [WaitingLoad] { workers.withLock { $0.map(\.load) } }

  /// Whether every worker has room for more.
  var hasRoom: Bool { workers.withLock { $0.allSatisfy { !$0.load.isOver } } }

  /// Asks all workers at the same time: the own one at once, and the others through their mailboxes.
  ///
  /// - Parameters:
  ///   - question: runs on the worker's reactor; called with its number.
  ///   - completed: called once, at once or later on this reactor, with the answers by worker; nil for one that has stopped, or
  ///     took too long.
  func ask<Answer: Sendable>(
    from worker: WorkerSessions, _ question: @escaping @Sendable (WorkerSessions, Int) -> Answer,
    _ completed: @escaping ([Answer?]) -> Void
  ) {
    ask(from: worker, answeredLater: { $2(question($0, $1)) }, completed)
  }

  /// The same for a question that a worker may need several turns for.
  ///
  /// - Parameter question: also called with what takes its answer, once, on the worker's reactor.
  private func ask<Answer: Sendable>(
    from worker: WorkerSessions,
    answeredLater question: @escaping @Sendable (WorkerSessions, Int, @escaping (Answer) -> Void) -> Void,
    _ completed: @escaping ([Answer?]) -> Void
  ) {
    let workers = workers.withLock { $0 }
    let answers = AnswersByWorker(workers.count, completed)
    for (index, mailbox) in workers.enumerated() where index != worker.number {
      let reply = worker.reply { answers.take($0, from: index) }
      mailbox.post(.perform { question($0, index) { reply.give($0) } })
    }
    question(worker, worker.number) { answers.take($0, from: worker.number) }
    answers.wait(on: worker.reactor)
  }
}

/// The answers of several workers to one question, until all of them are there or the time is over. Confined to the reactor that asks.
private final class AnswersByWorker<Answer> {
  private var answers: [Answer?]
  private var missing: Int
  private var timer: Timer?
  private let completed: ([Answer?]) -> Void

  init(_ count: Int, _ completed: @escaping ([Answer?]) -> Void) {
    answers = Array(repeating: nil, count: count)
    missing = count
    self.completed = completed
  }

  /// Bounds the time for those that are missing.
  func wait(on reactor: Reactor) {
    guard missing > 0 else { return }
    let timer = reactor.timer { [self] in end() }
    timer.schedule(after: Publisher.patience)
    self.timer = timer
  }

  /// - Parameter answer: nil if there will be none.
  func take(_ answer: Answer?, from index: Int) {
    guard missing > 0 else { return }
    answers[index] = answer
    missing -= 1
    if missing == 0 { end() }
  }

  private func end() {
    missing = 0
    timer?.cancel()
    timer = nil
    completed(answers)
  }
}

// MARK: - Events

extension Publisher {
  /// Publishes events in their order, on the reactor of the worker.
  ///
  /// A layer without a history and without Redis has delivered the events on every reactor when `completed` is called, unless one of
  /// them took longer than `patience`. With a history a lock, and with Redis a queue of the process, has given them their place by then.
  /// So what a client publishes after the answer to its last request, over whatever connection, reaches every member after it. Requests
  /// at the same time have no such order: without a history and without Redis, two reactors may deliver them in different orders.
  ///
  /// - Parameter completed: called once, at once or later on this reactor, with a result for each event.
  func publish(
    _ events: [GroupEvent], on layer: any LayerBackend, from worker: WorkerSessions,
    _ completed: @escaping ([Outcome]) -> Void
  ) {
    Publication(events, on: worker.layers[layer].layer, from: worker, through: self, completed).goOn()
  }
}

// MARK: - Orders

extension Publisher {
  /// Carries out an order in this process.
  ///
  /// - Parameters:
  ///   - layer: the channel layer of the groups.
  ///   - completed: called once, at once or later on this reactor, with the sessions that it was for.
  func carryOut(
    _ order: ControlOrder, of layer: any LayerBackend, from worker: WorkerSessions,
    _ completed: @escaping (SessionsTold) -> Void
  ) {
    ask(from: worker) { worker, _, answer in
      worker.carryOut(order, of: layer, answer)
    } _: { answers in
      completed(answers.reduce(SessionsTold()) { $0 + ($1 ?? SessionsTold(isUnfinished: true)) })
    }
  }

  /// Has every worker do something.
  func tellWorkers(_ work: @escaping @Sendable (WorkerSessions) -> Void) {
    for mailbox in workers.withLock({ $0 }) { mailbox.post(.perform(work)) }
  }

  /// Sends a control event to the other processes of a layer, which keeps the order already: whoever does not hear of it reads it there.
  func tell(_ order: Event, on layer: any LayerBackend) {
    guard let mailbox = workers.withLock({ $0.first }) else { return }
    mailbox.post(.perform { [self] worker in tell(order, on: [layer], from: worker) { _ in } })
  }

  /// Sends a control event to the other processes of some layers.
  ///
  /// - Parameter completed: called with why one of them may not receive it; nil if all do.
  func tell(
    _ order: Event, on layers: [any LayerBackend], from worker: WorkerSessions,
    _ completed: @escaping (Undelivered?) -> Void
  ) {
    guard let layer = layers.first else { return completed(nil) }
    publish([GroupEvent(order, to: ControlMember.group)], on: layer, from: worker) { [self] outcomes in
      let fault = outcomes.lazy.compactMap(\.published.undelivered).first
      tell(order, on: Array(layers.dropFirst()), from: worker) { completed(fault ?? $0) }
    }
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
  func history(
    of group: String, on layer: any LayerBackend, behind position: EventPosition?,
    from worker: WorkerSessions,
    _ completed: @escaping (History) -> Void
  ) {
    laggingReads.read(on: worker.reactor) { [self] read, completed in
      historyNow(of: group, on: layer, behind: position, read, from: worker, completed)
    } _: {
      completed($0)
    }
  }

  /// One worker reads all histories of a group, so that the group is subscribed to there only.
  private func historyNow(
    of group: String, on layer: any LayerBackend, behind position: EventPosition?, _ read: LaggingReads.Read,
    from worker: WorkerSessions, _ completed: @escaping (History) -> Void
  ) {
    let workers = workers.withLock { $0 }
    let reader = Int(UInt(bitPattern: group.hashValue) % UInt(max(workers.count, 1)))
    guard reader != worker.number else {
      return Self.read(group, on: worker.layers[layer].layer, behind: position, read, completed)
    }
    let answers = AnswersByWorker<History>(1) { completed($0[0] ?? .unavailable) }
    let reply = worker.reply { answers.take($0, from: 0) }
    workers[reader].post(
      .perform { reader in
        Self.read(group, on: reader.layers[layer].layer, behind: position, read) { reply.give($0) }
      })
    answers.wait(on: worker.reactor)
  }

  private static func read(
    _ group: String, on layer: any ChannelLayer, behind position: EventPosition?, _ read: LaggingReads.Read,
    _ completed: @escaping (History) -> Void
  ) {
    // Only subscribed groups are known here.
    layer.subscribe(to: group) { outcome in
      guard outcome == .active else { return completed(.unavailable) }
      var slice = layer.history(of: group, behind: position, bytes: largestHistory)
      if case .last = read, slice?.isAhead == true {
        slice = layer.historyBehindGap(of: group, bytes: largestHistory)
      }
      layer.unsubscribe(from: group)
      completed(slice.map(History.kept) ?? .notKept)
    }
  }
}
