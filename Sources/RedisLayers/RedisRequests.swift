import ChannelLayers
import Synchronization
import Transport

/// An event that this process sends.
struct OutgoingEvent: SizedRequest {
  var event: Event
  var group: String
  /// Nil if the sender does not need the result.
  var sender: Sender?
  var size: Int { event.size + group.utf8.count }
}

/// A request with a size while it waits.
protocol SizedRequest: Sendable {
  /// Roughly. Bytes.
  var size: Int { get }
}

/// The reactors' requests to a layer's hub: a queue that accepts them from any thread and that one task empties.
final class RedisRequests<Request: SizedRequest>: Sendable {
  private struct Waiting {
    var requests: [Request] = []
    var bytes = 0
  }

  private let waiting = Mutex(Waiting())
  private let limit: Int
  private let byteLimit: Int
  /// The load of the queue, for producers that can hold back. It is over its bound at half of either limit.
  let load = WaitingLoad()
  /// Signals that requests are waiting. Several signals count as one.
  let arrivals: AsyncStream<Void>
  private let arrival: AsyncStream<Void>.Continuation

  /// - Parameters:
  ///   - limit: the most requests that may wait.
  ///   - byteLimit: the most bytes that may wait; a single request is accepted however large it is.
  init(limit: Int = .max, byteLimit: Int = .max) {
    self.limit = limit
    self.byteLimit = byteLimit
    load.bound(to: byteLimit / 2)
    (arrivals, arrival) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// When the task that empties the queue is woken.
  enum Waking {
    case now
    /// By the caller, with `wake`, once it has added all that it has.
    case later
  }

  var isEmpty: Bool { waiting.withLock { $0.requests.isEmpty } }

  /// - Returns: false if too many requests wait.
  func add(_ request: Request, waking: Waking = .now) -> Bool {
    let size = request.size
    let isAdded = waiting.withLock { waiting in
      let fits = waiting.bytes + size <= byteLimit || waiting.requests.isEmpty
      guard waiting.requests.count < limit, fits else { return false }
      waiting.requests.append(request)
      waiting.bytes += size
      return true
    }
    guard isAdded else { return false }
    load.add(weight(of: request))
    switch waking {
    case .now: wake()
    case .later: break
    }
    return true
  }

  /// Many small requests count as much as few large ones. Bytes.
  private func weight(of request: Request) -> Int {
    max(request.size, byteLimit / max(limit, 1))
  }

  /// The first requests, up to both limits; a single one is returned however large it is.
  func take(atMost most: Int, bytes mostBytes: Int = .max) -> [Request] {
    let taken = waiting.withLock { waiting in
      var bytes = 0
      let taken = Array(
        waiting.requests.prefix(most).prefix { request in
          defer { bytes += request.size }
          return bytes == 0 || bytes + request.size <= mostBytes
        })
      waiting.requests.removeFirst(taken.count)
      waiting.bytes -= taken.reduce(0) { $0 + $1.size }
      return taken
    }
    if !taken.isEmpty { load.subtract(taken.reduce(0) { $0 + weight(of: $1) }) }
    return taken
  }

  /// Whether there is something to take.
  var isWaiting: Bool { waiting.withLock { !$0.requests.isEmpty } }

  /// Wakes the task that empties the queue.
  func wake() {
    arrival.yield()
  }

  func finish() {
    arrival.finish()
  }
}

extension InterestChange: SizedRequest {
  // Never refused, however much waits.
  var size: Int { 0 }
}

extension RecordRequest: SizedRequest {
  var size: Int { event.size + group.utf8.count }
}
