import Bytes
import Transport
import WebSocketCore

/// The clients of one reactor, and their counts.
final class Crew {
  enum Order: Sendable {
    /// Open this crew's share of the connections.
    case openConnections
    /// From now on what receivers get counts.
    case listen
    case openPublishers
    /// Connections that are not open yet have failed.
    case giveUpOpening
    /// Answered when this crew is ready for messages.
    case begin(@Sendable () -> Void)
    case publish
    /// For each publisher, how many of its messages all subscribers of a crew have received.
    case completed([Int], by: Int)
    case measure
    /// The measured time is over, and nothing more is sent.
    case halt
    case close
    case report(@Sendable (CrewReport) -> Void)
  }

  let reactor: Reactor
  let plan: Plan
  private let index: Int
  private let progress: Progress
  /// Nanoseconds; updated with each read.
  var now: UInt64
  /// What is sent, again and again.
  let message: PreparedMessage
  var stampPlace = 0
  var tally = Tally()
  private(set) var window: DeliveryWindow?
  private(set) var isHalted = false
  /// Whether completed operations count.
  private var isCounting = false
  private var hasBegun = false
  private(set) var isListening = false
  /// Whether what receivers get is counted beside the requests that published it.
  private let countsDeliveriesApart: Bool

  /// Decompresses the server's messages, for all clients.
  let inflater = Inflater(windowBits: 15, context: .none, scratch: Scratch())
  private var clients: [ObjectIdentifier: LoadClient] = [:]
  private var waiting: [any ClientPart] = []
  /// The parts whose connection the server has ended as it may, until they have another one.
  private var renewing: Set<ObjectIdentifier> = []
  private var opening = 0
  private var publishing: Publishing?
  private var began: (time: MonotonicTime, thread: ThreadTime)?
  private var measured = (time: Duration.zero, thread: ThreadTime())

  /// Handshakes at a time. More would overflow a server's backlog.
  private static let openingAtOnce = 64

  init(_ plan: Plan, index: Int, progress: Progress, on reactor: Reactor) {
    self.plan = plan
    self.index = index
    self.progress = progress
    self.reactor = reactor
    now = reactor.now.nanoseconds
    message = plan.message
    countsDeliveriesApart = plan.load.pace == nil
    // A connection of `idle` counts its handshake.
    isCounting = plan.load.work == .idle
    if index == plan.publishingCrew, let pace = plan.load.pace {
      publishing = Publishing(pace, crews: plan.crews, crew: self)
    }
  }

  func handshake(with target: Target) -> ClientHandshake {
    var handshake = ClientHandshake(
      target: target.requestTarget, host: target.authority, subprotocols: plan.load.subprotocols,
      fields: plan.load.fields)
    handshake.offersCompression = plan.load.offersCompression
    return handshake
  }

  func carryOut(_ order: Order) {
    now = MonotonicTime.now.nanoseconds
    switch order {
    case .openConnections: open(parts())
    case .listen: isListening = true
    case .openPublishers: open(publisherParts())
    case .giveUpOpening: giveUpOpening()
    case .begin(let done):
      begin()
      done()
    case .publish: publishing?.tick()
    case .completed(let counts, let index): publishing?.completed(counts, by: index)
    case .measure: measure()
    case .halt: halt()
    case .close: close()
    case .report(let receive):
      receive(CrewReport(tally: tally, measured: measured.time, thread: measured.thread))
    }
  }

  private func parts() -> [any ClientPart] {
    plan.share(of: index, plan.load.opened).map { number in
      switch plan.load.work {
      case .echo(let inFlight): EchoPart(inFlight: inFlight, run: plan.run, index: number)
      case .fanOut, .publish, .events: SubscriberPart(publishers: plan.load.publishers)
      case .connect: ConnectPart()
      case .idle: IdlePart()
      }
    }
  }

  private func publisherParts() -> [any ClientPart] {
    if case .publish(let inFlight) = plan.load.work {
      return plan.share(of: index, plan.load.publishers).map { RequestPart(inFlight: inFlight, index: $0) }
    }
    guard let publishing else { return [] }
    return (0..<plan.load.publishers).map { _ in PublisherPart(publishing) }
  }
}

// MARK: - Opening and closing

extension Crew {
  func open(_ parts: [any ClientPart]) {
    waiting += parts
    openMore()
  }

  private func openMore() {
    while opening < Self.openingAtOnce, let part = waiting.popLast() {
      do throws(TransportFailure) {
        let place = part.publishes ? plan.publishing : plan.receiving
        let descriptor = try place.address.dial(from: plan.sources.next())
        now = MonotonicTime.now.nanoseconds
        let client = client(part, descriptor, to: place)
        clients[ObjectIdentifier(client)] = client
        opening += 1
      } catch {
        couldNotOpen(part, "cannot connect: \(error)")
      }
    }
  }

  private func client(
    _ part: any ClientPart, _ descriptor: consuming Descriptor, to place: Destination
  ) -> LoadClient {
    switch place.target.speech {
    case .webSocket: WebSocketClient(part, descriptor, to: place, of: self)
    case .publishing: PublishClient(part, descriptor, to: place, of: self)
    case .events: StreamClient(part, descriptor, to: place, of: self)
    }
  }

  func opened(_ client: LoadClient) {
    opening -= 1
    if renewing.remove(ObjectIdentifier(client.part)) != nil {
      client.part.reopened(client, self)
    } else {
      progress.opened.increase()
      progress.active.increase()
      client.part.opened(client, self)
    }
    openMore()
  }

  func failedToOpen(_ client: LoadClient, _ problem: String) {
    opening -= 1
    clients[ObjectIdentifier(client)] = nil
    couldNotOpen(client.part, problem)
    openMore()
  }

  private func couldNotOpen(_ part: any ClientPart, _ problem: String) {
    guard renewing.remove(ObjectIdentifier(part)) != nil else { return countFailure(problem) }
    countLoss(problem)
    progress.active.increase(by: -1)
    part.ended(self)
  }

  private func countLoss(_ problem: String) {
    guard !isHalted || plan.load.receivers > 0 else { return }
    tally.lost += 1
    progress.note(problem)
  }

  private func countFailure(_ problem: String) {
    tally.failed += 1
    progress.failed.increase()
    if !isHalted { progress.note(problem) }
  }

  /// The server has accepted a connection only to say why it refuses it.
  func refused(_ client: LoadClient, _ problem: String) {
    clients[ObjectIdentifier(client)] = nil
    progress.opened.increase(by: -1)
    progress.active.increase(by: -1)
    countFailure(problem)
    client.part.refused(self)
  }

  func lost(_ client: LoadClient, _ problem: String) {
    countLoss(problem)
    closed(client)
  }

  /// Opens another connection for the client's part. The server will not answer what it has not answered yet.
  func renew(_ client: LoadClient) {
    guard !isHalted else { return closed(client) }
    clients[ObjectIdentifier(client)] = nil
    progress.awaited.increase(by: -client.awaited)
    tally.reopened += 1
    renewing.insert(ObjectIdentifier(client.part))
    client.part.interrupted(client, self)
    open([client.part])
  }

  func closed(_ client: LoadClient) {
    clients[ObjectIdentifier(client)] = nil
    progress.active.increase(by: -1)
    progress.awaited.increase(by: -client.awaited)
    client.part.ended(self)
  }

  private func giveUpOpening() {
    waiting = []
    for client in clients.values { client.giveUpOpening() }
  }

  private func close() {
    isHalted = true
    waiting = []
    progress.active.increase(by: -renewing.count)
    renewing = []
    for client in clients.values { client.close() }
  }
}

// MARK: - The load

extension Crew {
  private func begin() {
    guard !hasBegun else { return }
    hasBegun = true
    if case .window(let size) = plan.load.pace { openWindow(plan.load.publishers, size) }
    for client in clients.values { client.part.begin(client, self) }
    publishing?.begin()
  }

  private func openWindow(_ publishers: Int, _ size: Int) {
    let members = clients.values.count { $0.part is SubscriberPart }
    // Unowned: the window is the crew's own.
    window = DeliveryWindow(members: members, publishers: publishers, size: size, on: reactor) {
      [unowned self] counts in
      if let publishing {
        publishing.completed(counts, by: index)
      } else {
        plan.publishers?.post(.completed(counts, by: index))
      }
    }
  }

  private func measure() {
    if !isCounting { tally.beginMeasuring() }
    isCounting = true
    began = (MonotonicTime.now, .now)
  }

  private func halt() {
    guard !isHalted else { return }
    isHalted = true
    publishing?.halt()
    isCounting = false
    guard let began else { return }
    measured.time = MonotonicTime.now.since(began.time)
    measured.thread = .now - began.thread
  }

  func published() {
    tally.publishedInAll += 1
    if isCounting { tally.published += 1 }
    progress.published.increase()
  }

  func awaits(_ requests: Int) {
    progress.awaited.increase(by: requests)
  }

  /// A request that published something is answered.
  ///
  /// - Parameters:
  ///   - status: of a refusal; nil if it was accepted.
  ///   - refusal: in words.
  func answered(_ status: Int?, _ refusal: @autoclosure () -> String) {
    progress.awaited.increase(by: -1)
    guard let status else { return published() }
    tally.refused[status, default: 0] += 1
    progress.note("a request was refused: \(refusal())")
  }

  /// A receiver got a message.
  func delivered(bytes: Int, since start: UInt64) {
    tally.delivered += 1
    progress.delivered.increase()
    guard countsDeliveriesApart else { return completed(bytes: bytes, since: start) }
    if isCounting { tally.deliveries.record(bytes: bytes, nanoseconds: now > start ? now - start : 0) }
  }

  /// One more message has come back or was delivered, one more connection was opened, or one more request was accepted.
  ///
  /// - Parameter end: when that was; nil for now.
  func completed(bytes: Int, since start: UInt64, at end: UInt64? = nil) {
    let end = end ?? now
    progress.operations.increase()
    if isCounting { tally.main.record(bytes: bytes, nanoseconds: end > start ? end - start : 0) }
  }

  func gotWrong(_ payload: RawSpan, _ why: String) {
    tally.wrong += 1
    let bytes = [UInt8](copying: payload.extracting(0..<min(payload.byteCount, 100)))
    progress.note("an unexpected message (\(why)): \(String(decoding: bytes, as: UTF8.self))")
  }
}

/// The final report of a crew.
struct CrewReport: Sendable {
  var tally: Tally
  var measured: Duration
  /// The time of its thread.
  var thread: ThreadTime
}
