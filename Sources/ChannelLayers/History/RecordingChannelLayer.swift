import GatewayConfig
package import Transport

/// One reactor's channel layer with histories. Calls for groups without a history go directly to the wrapped layer.
///
/// An event for a recorded group is added to the group's history. The reactor then delivers the events of the history after the
/// last one that it delivered. So all members get the same events once and in the same order, whatever the order in which reactors
/// are woken, and a session that joins continues exactly where its replay ended.
package final class RecordingChannelLayer: ChannelLayer {
  package var groups: LocalGroups { layer.groups }
  private let layer: any ChannelLayer
  private let history: GroupHistory
  private let number: Int
  /// Keeps the histories outside of this process; nil if this process keeps them.
  private let recorder: (any HistoryRecorder)?
  /// Wakes the recorder for all events of a turn.
  private let waking: OncePerTurn
  private var wake: HistoryWake?
  /// The mailbox of this reactor.
  package private(set) var end: Mailbox<HistoryNews>?
  private var readers: [String: GroupReader] = [:]
  /// The callers that wait for the result of an event.
  private var publishing = Tickets<Published>()
  private let reactor: Reactor
  private var sweeping: Timer?
  /// How far the reactor of another process had come, of which this one takes the place; until the group is subscribed to.
  private var handed: [String: EventPosition] = [:]
  /// The number of readers whose last member has left.
  private var idleCount = 0

  /// How long a group stays subscribed after its last member has left, if other programs can publish. Their events are recorded
  /// only while a gateway is subscribed. The time is long enough for clients that reconnect.
  private static let linger = Duration.seconds(120)
  /// The most groups that stay subscribed without members. Others are unsubscribed at once.
  private static let mostIdle = 10_000

  /// - Parameter layer: carries the events of groups without a history, and events that are not recorded.
  package init(
    _ layer: any ChannelLayer, recording history: GroupHistory, reactor: Reactor, number: Int,
    recorder: (any HistoryRecorder)? = nil
  ) {
    self.layer = layer
    self.history = history
    self.reactor = reactor
    self.number = number
    self.recorder = recorder
    waking = OncePerTurn(on: reactor) { recorder?.wake() }
    let mailbox = reactor.mailbox { [weak self] (news: HistoryNews) in self?.take(news) }
    end = mailbox
    wake = HistoryWake { mailbox.post(.readable) }
  }

  private func take(_ news: HistoryNews) {
    switch news {
    case .readable:
      for group in wake?.take() ?? [] { readers[group]?.deliver(to: groups) }
    case .subscribed(let group, let outcome):
      guard let reader = readers[group], !reader.isOpen else { return }
      if outcome == .active {
        open(reader)
      } else if reader.isResumed {
        askAgain(for: reader)
      } else {
        refuse(reader)
      }
    case .undelivered(let reason, let member): groups.undelivered(reason, from: member)
    case .published(let ticket, let published): publishing.redeem(ticket)?(published)
    }
  }

  package var deliveredPositions: [String: EventPosition] {
    // Those of the process before hold until the group is there again, for the members that it was taken over with.
    readers.compactMapValues { $0.position ?? ($0.isResumed ? handed[$0.group.name] : nil) }
  }

  package func resume(_ state: LayerState.Groups) {
    handed.merge(state.delivered) { known, other in
      // Where two reactors' members meet, nobody misses anything: `resumed` is told who has had more.
      known.epoch == other.epoch && known.offset < other.offset ? known : other
    }
    for (group, since) in state.idle { listen(to: group, idleSince: since) }
  }

  package var idleGroups: [String: MonotonicTime] { readers.compactMapValues(\.idleSince) }

  /// Goes on listening to a group that nobody is in: what other programs publish to it is recorded by whoever listens.
  private func listen(to group: String, idleSince since: MonotonicTime) {
    if let known = readers[group]?.idleSince {
      // Another reactor of that process has listened to it as well.
      readers[group]?.idleSince = max(known, since)
      return
    }
    guard recorder != nil, idleCount < Self.mostIdle, let limits = history.rules.limits(of: group) else {
      return
    }
    let reader = readAgain(group, limits)
    reader.subscriptions = 0
    idle(reader, since: since)
  }

  package func resumed(_ membership: Membership, at position: EventPosition) {
    guard let reader = readers[membership.group],
      let begin = reader.position ?? handed[membership.group], begin.epoch == position.epoch,
      begin.offset < position.offset
    else { return }
    reader.skip(for: membership, upTo: position)
  }

  // MARK: - Publishing

  package func publish(_ event: Event, to group: String, from sender: Membership) {
    guard let reader = readers[group], event.isRecordable else {
      return layer.publish(event, to: group, from: sender)
    }
    guard let recorder else {
      record(event, reader.group, reader)
      return
    }
    let request = RecordRequest(
      event: event, group: group, limits: reader.group.limits,
      sender: .session(reactor: number, member: sender.number))
    waking.ask()
    if let reason = recorder.publish(request) { sender.member.undelivered(reason) }
  }

  package func publish(_ event: Event, to group: String, completed: @escaping (Published) -> Void) {
    guard event.isRecordable, let limits = history.rules.limits(of: group) else {
      return layer.publish(event, to: group, completed: completed)
    }
    guard let recorder else {
      let recorded = history.acquire(group, limits)
      let position = record(event, recorded, readers[group])
      history.release(recorded)
      return completed(Published(position: position))
    }
    let ticket = publishing.issue(completed)
    let request = RecordRequest(
      event: event, group: group, limits: limits, sender: .outside(reactor: number, ticket: ticket))
    waking.ask()
    guard let reason = recorder.publish(request) else { return }
    publishing.redeem(ticket)?(Published(undelivered: reason))
  }

  /// Records an event if this process keeps the histories.
  @discardableResult
  private func record(_ event: Event, _ group: RecordedGroup, _ reader: GroupReader?) -> EventPosition {
    let position = group.append(event)
    group.wakeReaders(except: number)
    reader?.deliver(to: groups)
    return position
  }

  package func peers(of group: String) -> [any GroupPeer] { layer.peers(of: group) }

  // MARK: - Subscribing

  package func subscribe(to group: String, _ completed: @escaping (Subscription) -> Void) {
    if let reader = readers[group] {
      use(reader)
      if reader.isOpen { completed(.active) } else { reader.waiting.append(completed) }
      return
    }
    guard let limits = history.rules.limits(of: group) else {
      return layer.subscribe(to: group, completed)
    }
    let reader = GroupReader(history.acquire(group, limits), waiting: completed)
    readers[group] = reader
    layer.subscribe(to: group) { [weak self, weak reader] outcome in
      guard let self, let reader, readers[group] === reader else { return }
      switch (outcome, recorder) {
      case (.unavailable, _): forget(reader, .unavailable)
      case (.active, nil): open(reader)
      case (.active, let recorder?): recorder.change(.wanted(group: group, reactor: number))
      }
    }
  }

  package func resubscribe(to group: String) {
    if let reader = readers[group] {
      use(reader)
      // Somebody who has waited for the group may have come first.
      reader.isResumed = true
      return
    }
    guard let limits = history.rules.limits(of: group) else { return layer.resubscribe(to: group) }
    _ = readAgain(group, limits)
  }

  /// Makes a reader with one subscription, in the place of one in another process.
  private func readAgain(_ group: String, _ limits: HistoryConfiguration) -> GroupReader {
    let reader = GroupReader(history.acquire(group, limits)) { _ in }
    reader.isResumed = true
    readers[group] = reader
    layer.resubscribe(to: group)
    if let recorder { recorder.change(.wanted(group: group, reactor: number)) } else { open(reader) }
    return reader
  }

  /// Counts one more subscription of a reader that is there.
  private func use(_ reader: GroupReader) {
    reader.subscriptions += 1
    guard reader.idleSince != nil else { return }
    reader.idleSince = nil
    idleCount -= 1
  }

  /// Asks for a history again that its members have had in another process.
  private func askAgain(for reader: GroupReader) {
    let timer = reactor.timer { [weak self, weak reader] in
      guard let self, let reader, readers[reader.group.name] === reader, !reader.isOpen else { return }
      recorder?.change(.wanted(group: reader.group.name, reactor: number))
    }
    reader.again = timer
    timer.schedule(after: Self.pauseBeforeAgain)
  }

  private static let pauseBeforeAgain = Duration.milliseconds(500)

  /// Begins to deliver the group's new events. Earlier events are for replays.
  private func open(_ reader: GroupReader) {
    guard let wake else { return }
    reader.group.add(RecordedGroup.Reader(number: number, wake: wake))
    // Whoever comes later begins with what is new: nothing was delivered here since that position.
    let known = reader.isResumed ? handed.removeValue(forKey: reader.group.name) : nil
    if let known, reader.group.last.epoch == known.epoch {
      // What was published since then is still to be delivered.
      reader.begin(behind: known)
      wake.add(reader.group.name)
    } else {
      reader.begin()
    }
    for completed in reader.takeWaiting() { completed(.active) }
  }

  /// Gives the subscription up: the layer carries the group's events, but its history is not available.
  private func refuse(_ reader: GroupReader) {
    layer.unsubscribe(from: reader.group.name)
    recorder?.change(.unwanted(group: reader.group.name, reactor: number))
    forget(reader, .unavailable)
  }

  private func forget(_ reader: GroupReader, _ outcome: Subscription?) {
    readers[reader.group.name] = nil
    reader.again?.cancel()
    reader.group.removeReader(number)
    history.release(reader.group)
    guard let outcome else { return }
    for completed in reader.takeWaiting() { completed(outcome) }
  }

  package func unsubscribe(from group: String) {
    guard let reader = readers[group] else { return layer.unsubscribe(from: group) }
    reader.subscriptions -= 1
    guard reader.subscriptions == 0 else { return }
    // The history of one that takes the place of another one comes as soon as it can.
    guard recorder != nil, reader.isOpen || reader.isResumed, idleCount < Self.mostIdle else {
      return close(reader)
    }
    idle(reader, since: reactor.now)
  }

  private func idle(_ reader: GroupReader, since time: MonotonicTime) {
    reader.idleSince = time
    idleCount += 1
    guard sweeping == nil else { return }
    let timer = reactor.timer { [weak self] in self?.sweep() }
    sweeping = timer
    timer.schedule(after: max(.zero, (time + Self.linger).since(reactor.now)))
  }

  private func close(_ reader: GroupReader) {
    forget(reader, nil)
    recorder?.change(.unwanted(group: reader.group.name, reactor: number))
    layer.unsubscribe(from: reader.group.name)
  }

  /// Unsubscribes from groups that have had no members for a while.
  private func sweep() {
    for reader in readers.values {
      guard let since = reader.idleSince, since + Self.linger <= reactor.now else { continue }
      idleCount -= 1
      close(reader)
    }
    if idleCount > 0 { sweeping?.schedule(after: Self.linger / 10) } else { sweeping = nil }
  }

  // MARK: - Reading

  package func history(of group: String, behind position: EventPosition?, bytes: Int, isContinued: Bool)
    -> HistorySlice?
  {
    guard let reader = readers[group], reader.isOpen else { return nil }
    // Then the other members are at the same position as the reader, also if the epoch has changed.
    reader.deliver(to: groups)
    if recorder != nil, let position, let reached = reader.position, position.epoch == reached.epoch,
      position.offset > reached.offset
    {
      return HistorySlice(aheadOf: reached)
    }
    return reader.group.read(
      behind: position, upTo: reader.position, bytes: bytes, at: isContinued ? nil : .now)
  }
}

/// A message to a reactor with recorded groups.
package enum HistoryNews: Sendable {
  /// Some groups have new events.
  case readable
  case subscribed(String, Subscription)
  case undelivered(Undelivered, MemberNumber)
  case published(ticket: Int, Published)
}

/// One reactor's position in the history of a recorded group.
private final class GroupReader {
  /// How much is read and delivered at once. Bytes.
  private static let portion = 256 * 1024

  let group: RecordedGroup
  var subscriptions = 1
  /// When the last subscription ended; nil while there is one.
  var idleSince: MonotonicTime?
  var waiting: [(Subscription) -> Void]
  /// The position of the last delivered event; nil until the reader is open.
  private(set) var position: EventPosition?
  private var isDelivering = false
  /// Whether it takes the place of one in another process: its members are in the group, whether or not the history is there yet.
  var isResumed = false
  var again: Timer?
  /// Members that have had some of the next events in another process, and the last of them.
  private var ahead: [(membership: Membership, position: EventPosition)] = []

  init(_ group: RecordedGroup, waiting: @escaping (Subscription) -> Void) {
    self.group = group
    self.waiting = [waiting]
  }

  var isOpen: Bool { position != nil }

  func begin() {
    position = group.last
    ahead = []
  }

  func begin(behind known: EventPosition) {
    position = known
  }

  func takeWaiting() -> [(Subscription) -> Void] {
    defer { waiting = [] }
    return waiting
  }

  /// Passes a member over until its events are new to it.
  func skip(for membership: Membership, upTo position: EventPosition) {
    ahead.append((membership, position))
  }

  private func deliver(_ event: Event, passingOverIn groups: LocalGroups) {
    ahead.removeAll { membership, last in
      guard let position = event.position, position.epoch == last.epoch else { return true }
      return position.offset > last.offset || !groups.holds(membership)
    }
    groups.deliver([event], to: group.name, except: ahead.map(\.membership))
  }

  /// Delivers all events after the last delivered one. If some of them are not kept any more, members with numbered frames get a
  /// gap.
  func deliver(to groups: LocalGroups) {
    guard !isDelivering else { return }
    isDelivering = true
    defer { isDelivering = false }
    while let position {
      let slice = group.read(behind: position, bytes: Self.portion, at: nil, skipsRepeated: true)
      if slice.isGap { groups.deliver(.history(behind: slice.start, isGap: true), to: group.name) }
      if ahead.isEmpty {
        for event in slice.events { groups.deliver(event, to: group.name) }
      } else {
        for event in slice.events { deliver(event, passingOverIn: groups) }
      }
      self.position = slice.end
      if slice.isLast { return }
    }
  }
}
