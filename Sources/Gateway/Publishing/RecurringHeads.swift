import GatewayConfig
import Sessions
import WebSocketCore

/// The heads of the last requests that published with a token of the route, or on an anonymous one, on all connections of a worker.
///
/// A back end sends the same head with each event, but for the length of the body. A request whose head is known takes 34,000
/// instructions, one whose head is new 58,000: the head is not read again, and neither are its route, its token and its content type
/// looked for. `Tests/Interop/bench_instructions.py` measures both. Confined to the reactor.
struct RecurringHeads {
  /// A head, and what it has led to.
  final class Known {
    let head: RepeatedHead
    let place: HTTPPlace
    let endpoint: PublishEndpoint
    let publisher: KnownPublisher
    let isLast: Bool

    init(_ head: RepeatedHead, _ place: HTTPPlace, _ endpoint: PublishEndpoint, _ publisher: KnownPublisher) {
      self.head = head
      self.place = place
      self.endpoint = endpoint
      self.publisher = publisher
      isLast = head.request.isLast
    }

    var request: RequestHead { head.request }
  }

  private var known: [Known] = []
  /// What the heads were decided by. After a reload all of it is decided anew. Weak, so that the old value is let go of.
  private weak var served: ServedApplication?
  /// The heads that were not found, so far.
  private var misses = 0

  /// Every process, or every thread, of a back end usually sends the same.
  private static let most = 4
  /// Of so many heads that are not found, one is kept: heads that differ each time, for example in a number of the request, are mostly
  /// not worth the copy.
  private static let missesForOne = 8

  /// The head that the bytes begin with.
  func find(_ bytes: RawSpan, of served: ServedApplication) -> (known: Known, length: Int, body: Int)? {
    guard served === self.served else { return nil }
    for candidate in known {
      if let (length, body) = candidate.head.read(bytes) { return (candidate, length, body) }
    }
    return nil
  }

  /// Keeps the head of a request that publishes, unless it is known, if what it leads to depends on nothing else.
  ///
  /// - Parameter bytes: the whole head.
  mutating func note(
    _ request: RequestHead, _ bytes: RawSpan, at place: HTTPPlace, _ endpoint: PublishEndpoint,
    of served: ServedApplication
  ) {
    if served !== self.served { (self.served, known, misses) = (served, [], 0) }
    misses += 1
    guard known.isEmpty || misses % Self.missesForOne == 0,
      // It may be known all the same: the first request of a connection is not looked for.
      find(bytes, of: served) == nil, let publisher = endpoint.knownPublisher(request, place),
      let head = RepeatedHead(request, bytes)
    else { return }
    if known.count == Self.most { known.removeFirst() }
    known.append(Known(head, place, endpoint, publisher))
  }
}

/// What the head of a request that publishes says, once it is known that it may.
struct KnownPublisher: Sendable {
  var lane: PublishLane
  /// The values of its `Idempotency-Key` fields.
  var keyFields: [String]
}

extension PublishEndpoint {
  /// - Returns: nil for a request that does not publish, that is not allowed to, or whose client is known only after its authentication.
  fileprivate func knownPublisher(_ request: RequestHead, _ place: HTTPPlace) -> KnownPublisher? {
    // A token of GRIP expires, so that each is looked at.
    guard configuration.wire == .json else { return nil }
    // A body that waits to be asked for, and another protocol behind the request, are left to the usual way.
    guard request.method == "POST", !request.fields.has("expect"), !request.fields.has("upgrade"),
      case .known(let lane)? = try? access.client(of: request),
      case .publish? = try? operation(at: place.path, place.match, by: request.method),
      (try? PublishCall.checkType(of: request)) != nil
    else { return nil }
    return KnownPublisher(lane: lane, keyFields: request.values(of: "idempotency-key"))
  }
}
