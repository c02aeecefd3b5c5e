import DequeModule

/// Messages for the queues of other processes. Each queue keeps its order, and no queue waits for another one.
struct OutgoingQueues {
  struct Message {
    /// The message as it is stored in Redis.
    var bytes: [UInt8]
    var score: Double
    var group: String
    var receipt: Receipt
    var deadline: ContinuousClock.Instant
  }

  struct Queue {
    let shard: Int
    var capacity: Int
    var messages: Deque<Message> = []
    /// Set if the queue is full, or was just tried.
    var notBefore: ContinuousClock.Instant?
    var pause = Self.firstPause
    /// The queue had no room for a whole `patience`. Its messages do not wait any more until there is room.
    var isStalled = false

    static let firstPause = Duration.milliseconds(2)
    static let longestPause = Duration.milliseconds(50)
  }

  /// How much may wait, and how much one command may offer to Redis.
  struct Limits {
    /// Messages for one queue.
    var waiting = 5000
    /// Bytes for all queues together.
    var waitingBytes = 64 << 20
    /// Messages for one queue.
    var offered = 100
    /// Bytes for all queues together; a longer message is offered alone.
    var offeredBytes = 4 << 20
  }

  /// How long a message waits for room in a queue. Django's layers do not wait at all.
  static let patience = Duration.seconds(1)

  private let limits: Limits
  private(set) var queues: [String: Queue] = [:]
  private(set) var waitingBytes = 0

  init(limits: Limits = Limits()) {
    self.limits = limits
  }

  /// - Returns: false if too many messages wait already.
  mutating func add(_ message: Message, to key: String, shard: Int, capacity: Int) -> Bool {
    guard waitingBytes + message.bytes.count <= limits.waitingBytes else { return false }
    var queue = queues.removeValue(forKey: key) ?? Queue(shard: shard, capacity: capacity)
    defer { queues[key] = queue }
    queue.capacity = capacity
    guard queue.messages.count < limits.waiting else { return false }
    queue.messages.append(message)
    waitingBytes += message.bytes.count
    return true
  }

  /// The queues of the shard that can be tried now.
  func ready(_ shard: Int, at now: ContinuousClock.Instant) -> [String] {
    queues.compactMap { key, queue in
      guard queue.shard == shard, !queue.messages.isEmpty else { return nil }
      return queue.notBefore.map { $0 <= now } ?? true ? key : nil
    }
  }

  struct Offer {
    var key: String
    var capacity: Int
    var messages: [Message]
  }

  /// The first messages of the queues, to be offered to Redis with one command.
  func offers(_ keys: [String]) -> [Offer] {
    var room = limits.offeredBytes
    var offers: [Offer] = []
    for key in keys {
      guard let queue = queues[key] else { continue }
      var messages: [Message] = []
      for message in queue.messages.prefix(limits.offered) {
        guard message.bytes.count <= room || (offers.isEmpty && messages.isEmpty) else { break }
        room -= message.bytes.count
        messages.append(message)
      }
      guard !messages.isEmpty else { break }
      offers.append(Offer(key: key, capacity: queue.capacity, messages: messages))
    }
    return offers
  }

  /// Redis has stored the first `taken` of the offered messages. Returns those that have waited too long.
  mutating func took(_ taken: Int, of offer: Offer, at now: ContinuousClock.Instant) -> [Message] {
    guard var queue = queues.removeValue(forKey: offer.key) else { return [] }
    for _ in 0..<min(taken, queue.messages.count) { removeFirst(of: &queue) }
    if taken == offer.messages.count {
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
    while let first = queue.messages.first, taken < offer.messages.count,
      queue.isStalled || first.deadline <= now
    {
      late.append(removeFirst(of: &queue))
    }
    if !late.isEmpty { queue.isStalled = true }
    // A stalled queue is remembered, so that the next message for it does not wait in vain.
    if !queue.messages.isEmpty || queue.isStalled { queues[offer.key] = queue }
    return late
  }

  /// Removes the first messages of a queue, and returns them.
  mutating func drop(_ count: Int = .max, of key: String) -> [Message] {
    guard var queue = queues.removeValue(forKey: key) else { return [] }
    let dropped = (0..<min(count, queue.messages.count)).map { _ in removeFirst(of: &queue) }
    if !queue.messages.isEmpty { queues[key] = queue }
    return dropped
  }

  @discardableResult
  private mutating func removeFirst(of queue: inout Queue) -> Message {
    let message = queue.messages.removeFirst()
    waitingBytes -= message.bytes.count
    return message
  }

  /// When a queue has to be tried again; nil if nothing waits.
  var nextTry: ContinuousClock.Instant? {
    queues.values.filter { !$0.messages.isEmpty }.map { $0.notBefore ?? .now }.min()
  }

  /// Forgets stalled queues without new messages, because an ended process never makes room.
  mutating func forgetEmpty() {
    queues = queues.filter { !$0.value.messages.isEmpty }
  }
}
