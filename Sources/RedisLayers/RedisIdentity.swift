import ChannelLayers
import GatewayConfig

/// The names of this process in a Redis layer: those of its queues, its members and its sessions.
struct RedisIdentity: Sendable {
  /// Several queues instead of one, because each has a capacity of its own.
  static let stripeCount = 4

  /// Different for each process.
  let id: String
  /// `specific.ID-0!` and so on: the names of the queues without the prefix.
  let clients: [String]
  /// The prefix of the addresses of sessions.
  let addressPrefix: String
  /// Makes what follows the prefix.
  let sessions: AddressCipher

  /// - Parameter state: of the process that this one takes the place of.
  init(_ configuration: RedisLayerConfiguration, resuming state: LayerState? = nil) {
    id = state?.names.first ?? Self.newID()
    sessions = AddressCipher(resuming: state)
    clients = Self.clients(id)
    addressPrefix =
      switch configuration.layout {
      case .core: clients[0]
      case .pubSub: "\(configuration.prefix)specific.\(id)."
      }
  }

  /// A name that nobody else has.
  static func newID() -> String { String(UInt64.random(in: 0...(.max)), radix: 16) }

  /// The queues of a process.
  static func clients(_ id: String) -> [String] {
    (0..<stripeCount).map { "specific.\(id)-\($0)!" }
  }

  /// The queue for the group's events.
  func client(for group: String) -> String {
    clients[Shard.index(of: group, count: Self.stripeCount)]
  }

  /// The part of a channel's name after the name of one of this process's queues; nil for a channel of another process.
  func local(_ channel: String) -> Substring? {
    guard let mark = channel.firstIndex(of: "!") else { return nil }
    let end = channel.index(after: mark)
    return clients.contains(String(channel[..<end])) ? channel[end...] : nil
  }
}
