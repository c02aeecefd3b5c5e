import Bytes
import ChannelLayers
import GatewayConfig
import JSON
import Routing
import Transport

/// What a session and its view have with each other while nothing is under way, as a record.
struct ViewState: Recorded {
  /// `ViewRecord`, as it is kept in a layer.
  var record: [UInt8] = []
  var offered: [String] = []
  /// Nanoseconds of the monotonic clock.
  var startedAt: UInt64 = 0
  /// Whether the register knows the session.
  var isNoted = false
  var conversation = ViewConversation.Rest()
  /// When it is asked about because it is quiet; nil if it is not.
  var restsUntil: UInt64?
  /// By which it is reached; nil without groups.
  var own: FeedState.Place?

  init() {}

  init(from record: inout RecordReader) throws(RecordedFault) {
    while let field = try record.next() {
      switch field.number {
      case 1: self.record = try field.bytes()
      case 2: offered.append(try field.text())
      case 3: startedAt = try field.time()
      case 4: isNoted = try field.flag()
      case 5: conversation.lastQuestion = try field.integer()
      case 6: conversation.lastNumber = try field.integer(in: 0...(1 << 62))
      case 7: conversation.idleSeconds = try field.integer()
      case 8: restsUntil = try field.time()
      case 9: own = try field.record()
      default: break
      }
    }
  }

  func write(to record: inout RecordWriter) {
    record.add(1, self.record)
    for name in offered { record.addAlways(2, text: name) }
    record.add(3, startedAt)
    record.add(4, isNoted)
    record.add(5, UInt64(conversation.lastQuestion))
    record.add(6, conversation.lastNumber)
    record.add(7, UInt64(conversation.idleSeconds))
    if let restsUntil { record.addAlways(8, restsUntil) }
    if let own { record.add(9, own) }
  }
}

extension ViewState {
  /// The groups that its view has named.
  var named: [String]? { (try? ViewRecord.read(record))?.named }
}

extension ViewLink {
  /// Whether nothing is under way between the session and its view.
  var isQuiet: Bool { conversation.atRest != nil && activity?.isResting != false }

  /// - Returns: nil while something is.
  func handedState() -> ViewState? {
    guard isQuiet, let conversation = conversation.atRest else { return nil }
    var state = ViewState()
    state.record = OpenRecord(record: known).encoded()
    state.offered = offered
    state.startedAt = startedAt.nanoseconds
    state.isNoted = isNoted
    state.conversation = conversation
    state.restsUntil = activity?.rest?.due?.nanoseconds
    state.own = ownMembership.map(FeedState.Place.init)
    return state
  }

  /// The session is in its groups again.
  func resumed() {
    guard isNoted else { return }
    writeChange()
  }
}

extension ViewActivity {
  /// Whether there is nothing but the wait for a question about a quiet session.
  fileprivate var isResting: Bool {
    entrance == nil && held == nil && events.isEmpty && awaited == nil && pause == nil && turn == nil
      && part == nil && farewell == nil
  }
}

extension Session {
  /// Goes on with what the session and its view had in another process.
  ///
  /// - Parameter captures: of its path by the route that it has here.
  /// - Returns: false where its view cannot be asked about it any more.
  func resume(_ handed: ViewState, at captures: Captures) -> Bool {
    guard let configuration = route.configuration.consumer.view,
      var record = try? ViewRecord.read(handed.record), let target = route.target(for: captures)
    else { return false }
    record.captures = captures
    record.target = target
    record.groups = []
    let own = handed.own.flatMap { place in layer.map { joinAlone(as: place.number, in: $0) } }
    view = ViewLink(self, at: own, configuration, record, handed, by: worker.viewAsker(of: route))
    judgeNotes()
    return true
  }

  private func joinAlone(as number: MemberNumber, in layer: any ChannelLayer) -> Membership {
    let (key, renderer) = audience(isFirst: true, isNumbered: false)
    return layer.groups.joinAlone(self, route: key, renderer: renderer, number: number)
  }
}
