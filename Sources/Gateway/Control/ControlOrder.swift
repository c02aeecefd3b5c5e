import Bytes
import ChannelLayers
import Consumers
import JSON
import Logging
import Sessions
import Transport

/// An order about sessions that a request or another process gives.
struct ControlOrder: Sendable, Equatable {
  enum Kind: String, Sendable, CaseIterable {
    /// End the sessions, and keep their users out for a time.
    case disconnect
    /// Let the clients hear and not send.
    case mute
    case join, leave
    /// End a `disconnect` that still holds.
    case admit
    /// End a `mute` that still holds.
    case unmute

    /// The type of the event.
    var type: String { "sluice.\(rawValue)" }

    static let types = allCases.map(\.type)
  }

  var kind: Kind
  var target: SessionTarget
  /// The groups to join or to leave; empty for other orders.
  var groups: [String] = []
  /// When an order ends that holds for a time, in seconds since 1970.
  var until: Double?
  /// For the clients; not empty, and at most 123 bytes.
  var reason: String
  /// Whether the layers keep it already, or have forgotten what it lifts.
  var isKept = false

  /// The space in a close frame. Bytes.
  static let longestReason = 123
  /// As many as a client may have.
  static let mostGroups = 256

  init(_ kind: Kind, _ target: SessionTarget, until: Double? = nil, reason: String? = nil) {
    self.kind = kind
    self.target = target
    self.until = until
    self.reason = reason ?? kind.reason
  }

  /// The same order, which the layers keep.
  init(_ order: StandingOrder) {
    let subject = order.subject
    self.init(
      subject.kind == .disconnect ? .disconnect : .mute,
      SessionTarget(user: subject.user?.text, group: subject.group), until: order.until, reason: order.reason)
    isKept = true
  }

  /// Lifts what is about the subject, and what the layers have forgotten.
  init(lifting subject: StandingOrder.Subject) {
    self.init(
      subject.kind == .disconnect ? .admit : .unmute,
      SessionTarget(user: subject.user?.text, group: subject.group))
    isKept = true
  }
}

extension ControlOrder.Kind {
  /// What a client is told if the order does not say it.
  var reason: String { self == .mute ? "muted by an operator" : CloseReason.disconnected.text }
}

// MARK: - What it does

extension ControlOrder {
  /// The part that holds for a time, for users and groups; nil without one.
  var standing: StandingOrder? {
    guard let until, let subject = subject(kind == .mute ? .mute : .disconnect) else { return nil }
    switch kind {
    case .disconnect, .mute: return StandingOrder(subject, until: until, reason: reason)
    case .join, .leave, .admit, .unmute: return nil
    }
  }

  /// What it lifts; nil for other orders.
  var lifted: StandingOrder.Subject? {
    switch kind {
    case .admit: subject(.disconnect)
    case .unmute: subject(.mute)
    case .disconnect, .mute, .join, .leave: nil
    }
  }

  /// An address is gone with its session, so nothing about it can hold longer.
  private func subject(_ kind: StandingOrder.Kind) -> StandingOrder.Subject? {
    guard target.address == nil, !target.isEmpty else { return nil }
    return StandingOrder.Subject(kind, user: target.user, group: target.group)
  }

  /// What it does with open sessions; nil for nothing.
  var action: SessionAction? {
    switch kind {
    case .disconnect: .disconnect(reason: reason)
    case .mute where target.address != nil:
      until.map {
        .mute(until: .now + .seconds(max(0, $0 - WallClock.secondsSinceEpoch)), in: target.group)
      }
    case .mute, .unmute: .judgeMutes(in: target.group)
    case .join: .join(groups)
    case .leave: .leave(groups)
    case .admit: nil
    }
  }
}

extension WorkerSessions {
  /// Carries out an order in this process, on the sessions of this worker.
  ///
  /// - Parameters:
  ///   - layer: the channel layer of the groups.
  ///   - completed: called once, on this reactor, at once or when all sessions have had their turn.
  func carryOut(
    _ order: ControlOrder, of layer: any LayerBackend,
    _ completed: @escaping (SessionsTold) -> Void = { _ in }
  ) {
    if let standing = order.standing, !process.orders.add(standing, isKept: order.isKept), number == 0 {
      process.log.error(
        "an order does not hold: there are too many that hold for a time",
        metadata: ["most": .number(StandingOrders.most)])
    }
    if let lifted = order.lifted {
      process.orders.remove(lifted, isForgotten: order.isKept, isKnown: true)
    }
    guard let action = order.action else { return completed(SessionsTold()) }
    carryOut(action, on: order.target, of: layer, completed)
  }
}

extension LayerBackend {
  /// Has the layer keep what holds for a time, and forget what is lifted.
  ///
  /// - Returns: false if it could not.
  func keep(_ order: ControlOrder) async -> Bool {
    if var standing = order.standing {
      standing.given = WallClock.secondsSinceEpoch
      return await keep(standing)
    }
    if let lifted = order.lifted { return await forget(orders: [lifted.text]) }
    return true
  }

  /// - Returns: false if it could not.
  func keep(_ order: StandingOrder) async -> Bool {
    await keep(KeptOrder(subject: order.subject.text, content: order.text))
  }
}
