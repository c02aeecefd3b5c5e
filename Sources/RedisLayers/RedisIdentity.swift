import GatewayConfig

/// The names of this process in a Redis layer: those of its queues, its members and its sessions.
struct RedisIdentity: Sendable {
  /// Several queues instead of one, because each has a capacity of its own.
  static let stripeCount = 4

  /// Different for each process.
  let id: String
  private let layout: RedisLayerConfiguration.Layout
  private let prefix: String
  /// `specific.ID-0!` and so on: the names of the queues without the prefix.
  let clients: [String]

  init(_ configuration: RedisLayerConfiguration) {
    let id = String(UInt64.random(in: 0...(.max)), radix: 16)
    self.id = id
    layout = configuration.layout
    prefix = configuration.prefix
    clients = Self.clients(id)
  }

  /// The queues of a process.
  static func clients(_ id: String) -> [String] {
    (0..<stripeCount).map { "specific.\(id)-\($0)!" }
  }

  /// The prefix of the addresses of sessions.
  var addressPrefix: String {
    switch layout {
    case .core: clients[0]
    case .pubSub: "\(prefix)specific.\(id)."
    }
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
