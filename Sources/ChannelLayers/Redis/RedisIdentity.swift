import GatewayConfig

/// The names that this process has in a Redis layer: those of its queues, and those of its members and sessions.
struct RedisIdentity: Sendable {
  /// Several queues instead of one: each has a capacity of its own.
  static let stripeCount = 4

  /// Never the same for two processes.
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

  /// What the addresses of sessions begin with.
  var addressPrefix: String {
    switch layout {
    case .core: clients[0]
    case .pubSub: "\(prefix)specific.\(id)."
    }
  }

  /// The queue that the group's events come to.
  func client(for group: String) -> String {
    clients[Shard.index(of: group, count: Self.stripeCount)]
  }

  /// The part of a channel's name behind one of our clients; nil for the channel of somebody else.
  func local(_ channel: String) -> Substring? {
    guard let mark = channel.firstIndex(of: "!") else { return nil }
    let end = channel.index(after: mark)
    return clients.contains(String(channel[..<end])) ? channel[end...] : nil
  }
}
