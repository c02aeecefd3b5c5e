package import GatewayConfig
package import Transport

/// What the reactors of a process share of one channel layer: how its events, its presence and its histories are kept.
///
/// There is one type for each back end. A back end is made once for each layer, and each reactor gets an end of it before `run`.
package protocol LayerBackend: AnyObject, Sendable {
  var alias: String { get }

  /// Whether other processes may use the same layer.
  var isShared: Bool { get }

  /// Whether events, and histories if there are any, can be sent and received.
  var isAvailable: Bool { get }

  /// Whether sessions are counted in its groups.
  var hasPresence: Bool { get }

  /// Where records of sessions are kept for other processes; nil where none are.
  var records: (any SessionRecords)? { get }

  /// Makes a reactor's end, on the reactor. Must be called once for each reactor, before `run`. Reactors are numbered from 0 on.
  func end(on reactor: Reactor, number: Int) -> LayerEnd

  /// Connects once, and checks that everything that this layer needs is allowed.
  ///
  /// - Returns: what went wrong, or nil. `run` can be called all the same, and keeps trying.
  func firstConnection() async -> LayerFailure?

  /// Runs until `stop`.
  func run() async

  /// Waits until `run` has made the layer available, an attempt has failed, or the time is over.
  func settle(within time: Duration) async

  /// Removes what this process has in the layer, which may take this long, and ends `run`.
  func stop(within time: Duration) async

  /// The presence in the group, in all processes that use the layer; nil if it has no presence, or cannot be asked.
  func presence(in group: String) async -> PresenceList?

  /// Keeps an order for the processes on the layer that start later, or replaces that of the same subject.
  ///
  /// - Returns: whether it is kept.
  func keep(_ order: KeptOrder) async -> Bool

  /// - Returns: whether none of them is kept any more.
  func forget(orders subjects: [String]) async -> Bool

  /// All orders that are kept; nil if the layer keeps none, or cannot be asked.
  func keptOrders() async -> [KeptOrder]?

  /// Has the connections that are opened next reach the servers in another way, as a reload says: see `ChannelLayerConfiguration.isSamePlace`.
  func renewAccess(by configuration: ChannelLayerConfiguration)

  /// What this process has written for others, under its names; nil where there are no others.
  var remains: LayerRemains? { get }

  /// Posts to the reactors what would be told to their members in a moment.
  func tellAll()

  /// What the process that takes this one's place needs of the layer; with the connections that are held. Nothing is changed.
  func state() async -> LayerState

  /// Whether all that was published here is sent.
  var isSettled: Bool { get async }

  /// Receives nothing any more: what others publish from here on waits for that process, or for `goOn`.
  func hold() async

  /// Fetches nothing more for now that would be lost with this process. Takes a few seconds at most.
  func pause() async

  /// Receives again what `pause` and `hold` have left.
  func goOn() async
}

extension LayerBackend {
  package var records: (any SessionRecords)? { nil }
  package func renewAccess(by configuration: ChannelLayerConfiguration) {}
  package var remains: LayerRemains? { nil }
  package func tellAll() {}
  package func state() async -> LayerState { LayerState(alias: alias) }
  package var isSettled: Bool { get async { true } }
  package func hold() async {}
  package func pause() async {}
  package func goOn() async {}
}

/// A reactor's end of a channel layer. Confined to the reactor.
package struct LayerEnd {
  package let layer: any ChannelLayer
  /// Nil if the layer has no presence.
  package let presence: LocalPresence?

  package init(layer: any ChannelLayer, presence: LocalPresence?) {
    self.layer = layer
    self.presence = presence
  }
}

/// Why a layer cannot be used.
package struct LayerFailure: Error {
  /// What went wrong, a sentence without a full stop.
  package var text: String
  package var hint: String

  package init(text: String, hint: String) {
    self.text = text
    self.hint = hint
  }
}
