package import Transport

/// The back end of a layer that ends with this process.
package final class MemoryBackend: LayerBackend {
  package let alias: String
  private let hub: MemoryHub
  private let history: GroupHistory?
  private let table: PresenceTable?

  /// - Parameters:
  ///   - history: nil if no group keeps one.
  ///   - state: of the process that this one takes the place of.
  ///   - refused: called for each event that a reactor did not get because too much waits for it.
  package init(
    alias: String, history: GroupHistory?, hasPresence: Bool, resuming state: LayerState? = nil,
    refused: @escaping @Sendable () -> Void = {}
  ) {
    self.alias = alias
    self.history = history
    hub = MemoryHub(resuming: state, refused: refused)
    table = hasPresence ? PresenceTable() : nil
    guard let state else { return }
    history?.resume(state.histories)
    table?.resume(state.presence)
  }

  package func state() async -> LayerState {
    var state = LayerState(alias: alias)
    hub.cipher.add(to: &state)
    state.histories = history?.states ?? []
    state.presence = table?.states ?? []
    return state
  }

  package func tellAll() {
    table?.announceNow()
  }

  package var isShared: Bool { false }
  package var isAvailable: Bool { true }
  package var hasPresence: Bool { table != nil }

  package func end(on reactor: Reactor, number: Int) -> LayerEnd {
    let plain = MemoryChannelLayer(reactor: reactor, number: number, hub: hub)
    let layer = history.map {
      RecordingChannelLayer(plain, recording: $0, reactor: reactor, number: number)
    }
    return LayerEnd(
      layer: layer ?? plain,
      presence: table.map {
        LocalPresence(reactor: reactor, number: number, table: $0, groups: plain.groups)
      })
  }

  package func firstConnection() async -> LayerFailure? { nil }

  package func run() async {
    await table?.run()
  }

  package func settle(within time: Duration) async {}

  package func stop(within time: Duration) async {
    table?.stop()
  }

  package func presence(in group: String) async -> PresenceList? {
    table?.list(of: group)
  }
}
