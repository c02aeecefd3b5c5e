import Transport

/// A worker's sessions that have ended, and whose views are still asked about what the clients had sent. Confined to its reactor.
///
/// Nobody waits for these answers but what the view does with them, and no client that is gone can be told to send less. So they have a
/// time: what was not asked by then is dropped, and the ends of the sessions follow.
final class EndedViews {
  /// How long a session is asked about after its end.
  static let patience = Duration.seconds(30)
  /// As many messages of a client are asked about then: one whose connection breaks may have sent a hundred thousand small ones that
  /// nobody could hold back.
  static let mostMessages = 1000
  /// Between two looks at whose time is over.
  private static let pause = Duration.seconds(1)

  private struct Entry {
    let link: ViewLink
    let until: MonotonicTime
  }

  private let reactor: Reactor
  private var entries: [ObjectIdentifier: Entry] = [:]
  private var watch: Timer?
  private var isWatching = false
  /// Whether a stop leaves the rest of its time to the ends of sessions.
  private(set) var isOver = false

  init(_ reactor: Reactor) {
    self.reactor = reactor
  }

  deinit { watch?.cancel() }

  var links: [ViewLink] { entries.values.map(\.link) }
  var isEmpty: Bool { entries.isEmpty }
  /// What becomes of the messages that are left when a session ends now.
  var ending: ViewConversation.Ending { .asksOn(atMost: isOver ? 0 : Self.mostMessages) }

  func add(_ link: ViewLink) {
    entries[ObjectIdentifier(link)] = Entry(link: link, until: reactor.now + Self.patience)
    if !isWatching { look(after: Self.pause) }
  }

  func remove(_ link: ViewLink) { entries[ObjectIdentifier(link)] = nil }

  /// Nothing that waits is asked any more, nor will be.
  func giveUp() {
    isOver = true
    look()
  }

  private func look() {
    isWatching = false
    let now = reactor.now
    // What is under way is waited for, however long it takes.
    for entry in entries.values where (isOver || entry.until <= now) && !entry.link.isDropping {
      guard reactor.hasTimeLeft() else { return look(after: .zero) }
      entry.link.timeIsOver()
    }
    if !entries.isEmpty, !isOver { look(after: Self.pause) }
  }

  private func look(after time: Duration) {
    isWatching = true
    // Unowned: the timer is this object's own.
    let timer = watch ?? reactor.timer { [unowned self] in look() }
    watch = timer
    timer.schedule(after: time)
  }
}
