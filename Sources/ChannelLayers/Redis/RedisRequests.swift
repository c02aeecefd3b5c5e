import Synchronization
import Transport

/// An event that this process sends.
struct OutgoingEvent: Sendable {
  var event: Event
  var group: String
  /// Nil where nobody is to be told what became of it.
  var sender: Sender?
}

/// Who sent an event.
enum Sender: Sendable, Hashable {
  /// A session, which is told where something went wrong.
  case session(reactor: Int, member: MemberNumber)
  /// Nobody in the group: whoever waits on the reactor with this ticket is told once what became of it, good or bad.
  case outside(reactor: Int, ticket: Int)
}

/// A reactor's first member of a group has come, or its last one has gone.
package enum InterestChange: Sendable {
  case wanted(group: String, reactor: Int)
  case unwanted(group: String, reactor: Int)
}

/// Something that takes room while it waits.
protocol SizedRequest: Sendable {
  /// Roughly. Bytes.
  var size: Int { get }
}

/// What reactors ask of a layer's hub: a queue that takes from any thread and is emptied by one task.
final class RedisRequests<Request: SizedRequest>: Sendable {
  private struct Waiting {
    var requests: [Request] = []
    var bytes = 0
  }

  private let waiting = Mutex(Waiting())
  private let limit: Int
  private let byteLimit: Int
  /// What waits, for those who can hold back what they bring: it is over at half of either limit.
  let load = WaitingLoad()
  /// Says that something is waiting; however much, once is enough.
  let arrivals: AsyncStream<Void>
  private let arrival: AsyncStream<Void>.Continuation

  /// - Parameters:
  ///   - limit: how many may wait.
  ///   - byteLimit: how much they may be together; one is taken however large it is.
  init(limit: Int, byteLimit: Int) {
    self.limit = limit
    self.byteLimit = byteLimit
    load.bound(to: byteLimit / 2)
    (arrivals, arrival) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// - Returns: false where too many are waiting.
  func add(_ request: Request) -> Bool {
    let size = request.size
    let count = waiting.withLock { waiting in
      let fits = waiting.bytes + size <= byteLimit || waiting.requests.isEmpty
      guard waiting.requests.count < limit, fits else { return 0 }
      waiting.requests.append(request)
      waiting.bytes += size
      return waiting.requests.count
    }
    if count > 0 { load.add(weight(of: request)) }
    if count == 1 { arrival.yield() }
    return count > 0
  }

  /// So that many small ones count as much as few large ones. Bytes.
  private func weight(of request: Request) -> Int {
    max(request.size, byteLimit / max(limit, 1))
  }

  /// The first ones: at most so many, and not more together than so many bytes; one is given however large it is.
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

  /// Lets whoever takes look again.
  func wake() {
    arrival.yield()
  }

  func finish() {
    arrival.finish()
  }
}

extension InterestChange: SizedRequest {
  // Never refused, whatever waits.
  var size: Int { 0 }
}

extension OutgoingEvent: SizedRequest {
  var size: Int {
    event.fields.reduce(64 + group.utf8.count) { sum, field in
      switch field.value {
      // Only what a trial sends; what sessions send is kept as it came.
      case .json: sum + 64
      case .encodedJSON(let bytes), .text(let bytes), .bytes(let bytes): sum + bytes.count
      }
    }
  }
}
