import ChannelLayers
import Sessions
import Transport

/// The publishing of one request's events, in parts, so that others have their turn. Confined to the reactor of the request, and kept
/// by the callbacks that it waits for.
final class Publication {
  /// The most of one part.
  private static let largestPart = (count: 100, bytes: 1 << 20)

  private let events: [GroupEvent]
  private let layer: any ChannelLayer
  private let worker: WorkerSessions
  private let publisher: Publisher
  private let completed: ([Publisher.Outcome]) -> Void

  /// Those of the events up to the end of the current part.
  private var outcomes: [Publisher.Outcome] = []
  /// The current part; empty once nothing of it is waited for.
  private var part = 0..<0
  /// The results and counts of the part that have not come yet.
  private var missing = 0
  private var isSending = false
  /// Ends the wait for the part.
  private var deadline: Timer?
  /// How long the request may still wait for room.
  private var patience = Duration.seconds(1)

  init(
    _ events: [GroupEvent], on layer: any ChannelLayer, from worker: WorkerSessions,
    through publisher: Publisher, _ completed: @escaping ([Publisher.Outcome]) -> Void
  ) {
    self.events = events
    self.layer = layer
    self.worker = worker
    self.publisher = publisher
    self.completed = completed
  }

  /// Sends the next part, once there is room for it.
  func goOn() {
    guard outcomes.count < events.count else { return completed(outcomes) }
    guard publisher.hasRoom else { return waitForRoom() }
    sendPart()
    guard missing > 0 else { return partEnded() }
    let deadline = worker.reactor.timer { [self] in partEnded() }
    deadline.schedule(after: Publisher.patience)
    self.deadline = deadline
  }

  private func sendPart() {
    part = nextPart()
    isSending = true
    var asked: [(peer: any GroupPeer, places: [Int])] = []
    for place in part {
      let (event, group) = (events[place].event, events[place].group)
      outcomes.append(
        Publisher.Outcome(
          group: group, sessions: layer.groups.memberCount(of: group),
          published: Published(undelivered: .unconfirmed)))
      for peer in layer.peers(of: group) {
        if let known = asked.firstIndex(where: { $0.peer.number == peer.number }) {
          asked[known].places.append(place)
        } else {
          asked.append((peer, [place]))
        }
      }
      missing += 1
      layer.publish(event, to: group) { [self] published in
        answered(place) { $0[place].published = published }
      }
    }
    // The counts come when the events have arrived: that is what the order of requests rests on.
    for (peer, places) in asked { ask(peer, about: places) }
    isSending = false
  }

  private func nextPart() -> Range<Int> {
    let start = outcomes.count
    var (end, bytes) = (start, 0)
    while end < events.count, end - start < Self.largestPart.count {
      bytes += events[end].size
      guard bytes <= Self.largestPart.bytes || end == start else { break }
      end += 1
    }
    return start..<end
  }

  private func ask(_ peer: any GroupPeer, about places: [Int]) {
    missing += 1
    let reply = worker.reply { [self] (counts: [Int]?) in
      answered(places[0]) { outcomes in
        for (place, count) in zip(places, counts ?? []) { outcomes[place].sessions += count }
      }
    }
    let names = places.map { events[$0].group }
    peer.post { groups in reply.give(names.map { groups.memberCount(of: $0) }) }
  }

  /// - Parameter place: of an event that the answer is about. It may come after its time.
  private func answered(_ place: Int, _ change: (inout [Publisher.Outcome]) -> Void) {
    guard part.contains(place) else { return }
    change(&outcomes)
    missing -= 1
    if missing == 0, !isSending { partEnded() }
  }

  /// Everything about the part is known, or its time is over.
  private func partEnded() {
    let isLate = missing > 0
    part = 0..<0
    missing = 0
    let hasWaited = deadline != nil
    deadline?.cancel()
    deadline = nil
    if hasWaited || isLate || outcomes.count == events.count { return goOn() }
    // Behind what the reactor has to do meanwhile.
    let reply = worker.reply { [self] (_: Void?) in goOn() }
    reply.give(())
  }

  /// Waits for overloaded workers. If it takes too long, the client is asked to try again.
  private func waitForRoom() {
    let start = worker.reactor.now
    RoomWait(for: publisher.loads, on: worker, until: start + patience) { [self] hasRoom in
      patience -= worker.reactor.now.since(start)
      guard !hasRoom else { return goOn() }
      let rest = events[outcomes.count...]
      publisher.refused(rest.count)
      // After a part that is not sent, no later part is sent, so that there are no gaps.
      outcomes += rest.map {
        Publisher.Outcome(group: $0.group, sessions: 0, published: Published(undelivered: .backlog))
      }
      completed(outcomes)
    }.goOn()
  }
}

/// The wait of one request until every worker has room. Confined to its reactor, and kept by what it waits for.
private final class RoomWait {
  private let loads: [WaitingLoad]
  private let worker: WorkerSessions
  private var deadline: Timer?
  private let completed: (Bool) -> Void
  private var isOver = false
  /// The load that it waits for, and its number there.
  private var waiting: (load: WaitingLoad, number: Int)?

  init(
    for loads: [WaitingLoad], on worker: WorkerSessions, until due: MonotonicTime,
    _ completed: @escaping (_ hasRoom: Bool) -> Void
  ) {
    self.loads = loads
    self.worker = worker
    self.completed = completed
    let deadline = worker.reactor.timer { [self] in end(hasRoom: false) }
    deadline.schedule(at: due)
    self.deadline = deadline
  }

  func goOn() {
    guard !isOver else { return }
    waiting = nil
    guard let full = loads.first(where: \.isOver) else { return end(hasRoom: true) }
    let reply = worker.reply { [self] (_: Void?) in goOn() }
    if let number = full.whenRoom({ reply.give(()) }) { waiting = (full, number) }
  }

  private func end(hasRoom: Bool) {
    isOver = true
    deadline?.cancel()
    deadline = nil
    if let waiting { waiting.load.forget(waiting.number) }
    waiting = nil
    completed(hasRoom)
  }
}
