import NIOCore
import Synchronization
import Transport

/// The connections that requests of one `proxy` may have to its upstream at a time. Each is a place.
///
/// A request keeps its place until its answer has gone to the client, so clients that take nothing could hold all places. A
/// request that finds no place waits for one. Meanwhile the requests that have waited longest for their own client, and for
/// longer than `patience`, are ended.
final class UpstreamPlaces: Sendable {
  /// No place became free in time.
  struct AllInUse: Error {}

  /// A report about places that were all in use.
  struct Shortage: Equatable {
    /// The number of places.
    var connections: Int
    /// Requests that have waited for their client for longer than `patience`.
    var notReading: Int
    /// Requests that were ended since the last report.
    var letGo: Int
    /// Requests that found no place in time since the last report.
    var refused: Int

    /// For the log.
    var counts: [String: Int] {
      ["connections": connections, "clients_not_reading": notReading, "let_go": letGo, "refused": refused]
    }
  }

  /// How long a client may take nothing of its answer, or send nothing of its body, while other requests wait for a place.
  static let patience = Duration.seconds(2)
  /// How often the waiting requests are checked. Milliseconds.
  private static let look = 100

  private let limit: Int
  private let loop: (any EventLoop)?
  private let now: @Sendable () -> MonotonicTime
  private let report: @Sendable (Shortage) -> Void
  private let state = Mutex(State())

  private struct Waiter {
    let ticket: Int
    let deadline: MonotonicTime
    let letGo: @Sendable () -> Void
    let resume: CheckedContinuation<Place, any Error>
  }

  private struct State {
    var holders: [ObjectIdentifier: Holder] = [:]
    /// In the order of their arrival.
    var waiters: CircularBuffer<Waiter> = []
    var nextTicket = 0
    var isLooking = false
    /// Requests that were asked to end, and still have their place.
    var leaving = 0
    var letGo = 0
    var refused = 0
  }

  private struct Holder {
    let waits: ClientWaits
    let letGo: @Sendable () -> Void
    var isLeaving = false
  }

  /// Since when a request waits for its client, in either direction; 0 while it does not. Nanoseconds.
  fileprivate final class ClientWaits: Sendable {
    let sending = Atomic<UInt64>(0)
    let receiving = Atomic<UInt64>(0)

    /// Nil while the request does not wait for its client.
    var since: UInt64? {
      [sending.load(ordering: .relaxed), receiving.load(ordering: .relaxed)].filter { $0 > 0 }.min()
    }
  }

  /// One request's right to a connection. Given back by `leave`, or with the last reference.
  final class Place: Sendable {
    private let places: UpstreamPlaces
    private let hasLeft = Atomic(false)
    fileprivate let waits = ClientWaits()

    fileprivate init(of places: UpstreamPlaces) {
      self.places = places
    }

    deinit {
      leave()
    }

    func leave() {
      guard !hasLeft.exchange(true, ordering: .relaxed) else { return }
      places.leave(ObjectIdentifier(waits))
    }

    /// The request waits from now on until `hasSent` for the client to read.
    func waitsToSend() {
      waits.sending.store(places.now().nanoseconds, ordering: .relaxed)
    }

    func hasSent() {
      waits.sending.store(0, ordering: .relaxed)
    }

    /// The request waits from now on until `hasReceived` for the client to send more of its body.
    func waitsToReceive() {
      waits.receiving.store(places.now().nanoseconds, ordering: .relaxed)
    }

    func hasReceived() {
      waits.receiving.store(0, ordering: .relaxed)
    }
  }

  /// - Parameters:
  ///   - loop: the event loop for checking the waiting requests; nil if the owner calls `look`.
  ///   - report: called when all places are in use, for the log.
  init(
    _ limit: Int, on loop: (any EventLoop)?, now: @escaping @Sendable () -> MonotonicTime = { .now },
    report: @escaping @Sendable (Shortage) -> Void
  ) {
    self.limit = limit
    self.loop = loop
    self.now = now
    self.report = report
  }

  /// Takes a place, at once or when one becomes free.
  ///
  /// - Parameters:
  ///   - time: how long to wait for it.
  ///   - letGo: ends the request that has the place; called at most once, on any thread.
  /// - Throws: `AllInUse`, or `CancellationError`.
  func take(within time: Duration, letGo: @escaping @Sendable () -> Void) async throws -> Place {
    let (place, ticket) = state.withLock { state -> (Place?, Int) in
      state.nextTicket += 1
      guard state.holders.count < limit, state.waiters.isEmpty else { return (nil, state.nextTicket) }
      return (enter(&state, letGo), state.nextTicket)
    }
    if let place { return place }
    let deadline = now() + time
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let waiter = Waiter(ticket: ticket, deadline: deadline, letGo: letGo, resume: continuation)
        state.withLock { $0.waiters.append(waiter) }
        if Task.isCancelled { giveUp(ticket) }
        // A place may have become free in between.
        admit()
        lookAgain()
      }
    } onCancel: {
      giveUp(ticket)
    }
  }

  /// Ends the request that has waited longest for its client, if that is longer than `patience`.
  ///
  /// - Returns: whether there was one.
  func letGoOfSlowest() -> Bool {
    let holder = state.withLock { state in slowest(1, &state).first }
    holder?()
    return holder != nil
  }

  private func enter(_ state: inout State, _ letGo: @escaping @Sendable () -> Void) -> Place {
    let place = Place(of: self)
    state.holders[ObjectIdentifier(place.waits)] = Holder(waits: place.waits, letGo: letGo)
    return place
  }

  private func leave(_ id: ObjectIdentifier) {
    state.withLock { state in
      if state.holders.removeValue(forKey: id)?.isLeaving == true { state.leaving -= 1 }
    }
    admit()
  }

  /// Gives free places to the requests that have waited longest.
  private func admit() {
    while true {
      let next = state.withLock { state -> (Waiter, Place)? in
        guard state.holders.count < limit, let waiter = state.waiters.popFirst() else { return nil }
        return (waiter, enter(&state, waiter.letGo))
      }
      guard let (waiter, place) = next else { return }
      waiter.resume.resume(returning: place)
    }
  }

  private func giveUp(_ ticket: Int) {
    let waiter = state.withLock { state -> Waiter? in
      guard let index = state.waiters.firstIndex(where: { $0.ticket == ticket }) else { return nil }
      return state.waiters.remove(at: index)
    }
    waiter?.resume.resume(throwing: CancellationError())
  }

  /// Requests that wait for a place.
  var waiting: Int { state.withLock { $0.waiters.count } }

  // MARK: - When all are in use

  private func lookAgain() {
    guard let loop else { return }
    let isDue = state.withLock { state in
      guard !state.isLooking, !state.waiters.isEmpty else { return false }
      state.isLooking = true
      return true
    }
    guard isDue else { return }
    loop.scheduleTask(in: .milliseconds(Int64(Self.look))) { [weak self] in
      guard let self else { return }
      state.withLock { $0.isLooking = false }
      look()
      lookAgain()
    }
  }

  /// Refuses requests that have waited too long for a place, and ends as many requests as still wait.
  func look() {
    let time = now()
    let (late, slow, shortage) = state.withLock { state in
      var late: [Waiter] = []
      // The deadlines are in the order of arrival, because all requests of a route have the same time.
      while let first = state.waiters.first, first.deadline <= time {
        late.append(state.waiters.removeFirst())
      }
      state.refused += late.count
      let notReading = state.holders.values.count { isSlow($0.waits, at: time) }
      let slow = slowest(state.waiters.count - state.leaving, &state)
      var shortage: Shortage?
      if !late.isEmpty || !slow.isEmpty {
        shortage = Shortage(
          connections: limit, notReading: notReading, letGo: state.letGo, refused: state.refused)
        state.letGo = 0
        state.refused = 0
      }
      return (late, slow, shortage)
    }
    for waiter in late { waiter.resume.resume(throwing: AllInUse()) }
    for letGo in slow { letGo() }
    if let shortage { report(shortage) }
  }

  /// Marks the requests that have waited longest for their clients as leaving.
  private func slowest(_ count: Int, _ state: inout State) -> [@Sendable () -> Void] {
    guard count > 0 else { return [] }
    let time = now()
    let found = state.holders.filter { !$0.value.isLeaving && isSlow($0.value.waits, at: time) }
      .map { (id: $0.key, since: $0.value.waits.since ?? .max) }
      .sorted { $0.since < $1.since }.prefix(count)
    for (id, _) in found { state.holders[id]?.isLeaving = true }
    state.leaving += found.count
    state.letGo += found.count
    return found.compactMap { state.holders[$0.id]?.letGo }
  }

  private func isSlow(_ waits: ClientWaits, at time: MonotonicTime) -> Bool {
    guard let since = waits.since else { return false }
    return time.nanoseconds >= since + Self.patience.wholeNanoseconds
  }
}
