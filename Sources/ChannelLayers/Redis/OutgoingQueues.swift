import DequeModule

/// Messages that wait to be put into the queues of other processes: in order for each queue, and none waits for another queue.
struct OutgoingQueues {
  struct Message {
    /// As it stands in Redis.
    var bytes: [UInt8]
    var score: Double
    var group: String
    var sender: Sender
    var deadline: ContinuousClock.Instant
  }

  struct Queue {
    let shard: Int
    var capacity: Int
    var messages: Deque<Message> = []
    /// Full, or just tried.
    var notBefore: ContinuousClock.Instant?
    var pause = Self.firstPause
    /// Nobody has made room for a whole time of patience: its messages wait no more until somebody does.
    var isStalled = false

    static let firstPause = Duration.milliseconds(2)
    static let longestPause = Duration.milliseconds(50)
  }

  /// How long a message waits for room in a queue that is emptied. Django's layers do not wait at all.
  static let patience = Duration.seconds(1)
  /// Messages that may wait for one queue.
  static let mostWaiting = 5000

  private(set) var queues: [String: Queue] = [:]

  /// - Returns: false where too many wait already.
  mutating func add(_ message: Message, to key: String, shard: Int, capacity: Int) -> Bool {
    var queue = queues.removeValue(forKey: key) ?? Queue(shard: shard, capacity: capacity)
    defer { queues[key] = queue }
    queue.capacity = capacity
    guard queue.messages.count < Self.mostWaiting else { return false }
    queue.messages.append(message)
    return true
  }

  /// The queues of the shard that may be tried now.
  func ready(_ shard: Int, at now: ContinuousClock.Instant) -> [String] {
    queues.compactMap { key, queue in
      guard queue.shard == shard, !queue.messages.isEmpty else { return nil }
      return queue.notBefore.map { $0 <= now } ?? true ? key : nil
    }
  }

  /// The first messages of a queue, to be offered to Redis.
  func offer(_ key: String, atMost most: Int) -> [Message] {
    Array((queues[key]?.messages ?? []).prefix(most))
  }

  /// Redis has taken the first `taken` of the messages offered.
  ///
  /// - Returns: the messages that have waited too long.
  mutating func took(_ taken: Int, of offered: Int, _ key: String, at now: ContinuousClock.Instant)
    -> [Message]
  {
    guard var queue = queues.removeValue(forKey: key) else { return [] }
    queue.messages.removeFirst(min(taken, queue.messages.count))
    if taken == offered {
      queue.notBefore = nil
      queue.pause = Queue.firstPause
    } else {
      queue.notBefore = now + queue.pause
      queue.pause = min(queue.pause * 2, Queue.longestPause)
    }
    if taken > 0 {
      queue.isStalled = false
      queue.pause = Queue.firstPause
    }
    var late: [Message] = []
    while let first = queue.messages.first, taken < offered, queue.isStalled || first.deadline <= now {
      late.append(queue.messages.removeFirst())
    }
    if !late.isEmpty { queue.isStalled = true }
    // A stalled queue is remembered, so that the next message to it does not wait in vain.
    if !queue.messages.isEmpty || queue.isStalled { queues[key] = queue }
    return late
  }

  /// Takes what was offered, whatever became of it.
  mutating func drop(_ offered: Int, _ key: String) {
    guard var queue = queues.removeValue(forKey: key) else { return }
    queue.messages.removeFirst(min(offered, queue.messages.count))
    if !queue.messages.isEmpty { queues[key] = queue }
  }

  /// When a queue is to be tried again; nil where nothing waits.
  var nextTry: ContinuousClock.Instant? {
    queues.values.filter { !$0.messages.isEmpty }.map { $0.notBefore ?? .now }.min()
  }

  /// Forgets stalled queues that got no message; a process that is gone never makes room.
  mutating func forgetEmpty() {
    queues = queues.filter { !$0.value.messages.isEmpty }
  }
}
