import Synchronization

/// An event that a session of this process sends.
struct OutgoingEvent: Sendable {
  var event: Event
  var group: String
  var sender: Sender
}

/// Where a session is that sent an event.
struct Sender: Sendable, Hashable {
  var reactor: Int
  var member: MemberNumber
}

/// A reactor's first member of a group has come, or its last one has gone.
enum InterestChange: Sendable {
  case wanted(group: String, reactor: Int)
  case unwanted(group: String, reactor: Int)
}

/// What reactors ask of a layer's hub: a queue that takes from any thread and is emptied by one task.
final class RedisRequests<Request: Sendable>: Sendable {
  private let waiting = Mutex<[Request]>([])
  private let limit: Int
  /// Says that something is waiting; however much, once is enough.
  let arrivals: AsyncStream<Void>
  private let arrival: AsyncStream<Void>.Continuation

  /// - Parameter limit: how many may wait.
  init(limit: Int) {
    self.limit = limit
    (arrivals, arrival) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// - Returns: false where too many are waiting.
  func add(_ request: Request) -> Bool {
    let count = waiting.withLock { waiting in
      guard waiting.count < limit else { return 0 }
      waiting.append(request)
      return waiting.count
    }
    if count == 1 { arrival.yield() }
    return count > 0
  }

  func take(atMost most: Int) -> [Request] {
    waiting.withLock { waiting in
      let taken = Array(waiting.prefix(most))
      waiting.removeFirst(taken.count)
      return taken
    }
  }

  /// Lets whoever takes look again.
  func wake() {
    arrival.yield()
  }

  func finish() {
    arrival.finish()
  }
}
