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
      if outcome == .active { open(reader) } else { refuse(reader) }
    case .undelivered(let reason, let member): groups.undelivered(reason, from: member)
    case .published(let ticket, let published): publishing.redeem(ticket)?(published)
    }
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
      reader.subscriptions += 1
      if reader.subscriptions == 1 {
        reader.idleSince = nil
        idleCount -= 1
      }
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

  /// Begins to deliver the group's new events. Earlier events are for replays.
  private func open(_ reader: GroupReader) {
    guard let wake else { return }
    reader.group.add(RecordedGroup.Reader(number: number, wake: wake))
    reader.begin()
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
    reader.group.removeReader(number)
    history.release(reader.group)
    guard let outcome else { return }
    for completed in reader.takeWaiting() { completed(outcome) }
  }

  package func unsubscribe(from group: String) {
    guard let reader = readers[group] else { return layer.unsubscribe(from: group) }
    reader.subscriptions -= 1
    guard reader.subscriptions == 0 else { return }
    guard recorder != nil, reader.isOpen, idleCount < Self.mostIdle else { return close(reader) }
    reader.idleSince = reactor.now
    idleCount += 1
    guard sweeping == nil else { return }
    let timer = reactor.timer { [weak self] in self?.sweep() }
    sweeping = timer
    timer.schedule(after: Self.linger)
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

  init(_ group: RecordedGroup, waiting: @escaping (Subscription) -> Void) {
    self.group = group
    self.waiting = [waiting]
  }

  var isOpen: Bool { position != nil }

  func begin() {
    position = group.last
  }

  func takeWaiting() -> [(Subscription) -> Void] {
    defer { waiting = [] }
    return waiting
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
      for event in slice.events { groups.deliver(event, to: group.name) }
      self.position = slice.end
      if slice.isLast { return }
    }
  }
}
