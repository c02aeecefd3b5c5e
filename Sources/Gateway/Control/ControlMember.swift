import Bytes
import ChannelLayers
import Consumers
import Sessions
import Transport

/// A worker's membership in `sluice.control`, the group in which processes on one Redis layer send control events.
///
/// Django may send them, too: `group_send("sluice.control", {"type": "sluice.disconnect", "user": "5"})`.
final class ControlMember {
  static let group = "sluice.control"
  private static let retryAfter = Duration.seconds(1)

  /// Unowned: the worker lives while its reactor runs, and nothing uses it afterwards.
  private unowned let sessions: WorkerSessions
  private let unfit: UnfitEvents
  private let backend: any LayerBackend
  private let layer: any ChannelLayer
  private var membership: Membership?
  private var retry: Timer?
  private var isStopped = false

  init(of backend: any LayerBackend, _ sessions: WorkerSessions, unfit: UnfitEvents) {
    self.backend = backend
    layer = sessions.layers[backend].layer
    self.sessions = sessions
    self.unfit = unfit
  }

  func isOn(_ layer: any LayerBackend) -> Bool { backend === layer }

  /// Joins the group, and tries again while the layer is not available.
  func start() {
    layer.subscribe(to: Self.group) { [weak self, layer] outcome in
      guard let self, !isStopped else {
        if outcome == .active { layer.unsubscribe(from: Self.group) }
        return
      }
      subscribed(outcome)
    }
  }

  /// Goes on where another program of this process was a member: what is sent in the group comes as soon as the layer is there.
  func resume() {
    layer.resubscribe(to: Self.group)
    subscribed(.active)
  }

  private func subscribed(_ outcome: Subscription) {
    switch outcome {
    case .active:
      membership = layer.groups.join(
        self, group: Self.group, route: ObjectIdentifier(self),
        renderer: ControlRenderer(unfit: unfit))
    case .unavailable:
      let timer = retry ?? sessions.reactor.timer { [weak self] in self?.start() }
      timer.schedule(after: Self.retryAfter)
      retry = timer
    }
  }

  func stop() {
    isStopped = true
    retry?.cancel()
    retry = nil
    guard let membership else { return }
    self.membership = nil
    layer.groups.leave(membership)
    layer.unsubscribe(from: Self.group)
  }
}

extension ControlMember: GroupMember {
  /// Control events are carried out here, at the end of the turn, and not while they are rendered, because sessions leave
  /// groups then.
  func deliver(_ frames: SharedBytes, from offset: Int) -> Delivery {
    var text: [UInt8] = []
    frames.read { text = [UInt8](copying: $0.extracting(offset..<$0.byteCount)) }
    for line in text.split(separator: UInt8(ascii: "\n")) {
      guard let order = ControlOrder(line: Array(line)) else { continue }
      sessions.carryOut(order, of: backend)
      if sessions.number == 0 { keep(order) }
    }
    return .delivered
  }

  /// Has the layer keep an order of somebody who has not done that, such as Django: one worker of each process does, with the same result.
  private func keep(_ order: ControlOrder) {
    guard !order.isKept, order.standing != nil || order.lifted != nil else { return }
    // What cannot be kept is logged by the layer.
    sessions.offload { [backend, orders = sessions.process.orders] in
      guard await backend.keep(order), let standing = order.standing else { return }
      if !orders.keeps(standing) { _ = await backend.forget(orders: [standing.subject.text]) }
    } _: {
    }
  }

  func fellBehind() {}
  func close(code: UInt16, reason: String) {}
  func undelivered(_ reason: Undelivered) {}
}

/// Writes control events as lines, one for each. Other events are ignored.
struct ControlRenderer: EventRenderer {
  let unfit: UnfitEvents

  func render(_ event: Event, for receiver: EventReceiver?, into frames: SharedBytes) -> Rendering {
    do throws(OrderFields.Fault) {
      guard let order = try ControlOrder(event) else {
        unfit.unknown(event)
        return .ignored
      }
      frames.append(order.line.rawBytes)
      return .frames
    } catch {
      unfit.dropped(event, error.text, of: error.kind)
      return .ignored
    }
  }
}
