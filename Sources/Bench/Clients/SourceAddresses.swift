import Synchronization

/// Chooses the loopback address for a connection.
///
/// One address has some 28,000 ports for connections to one server (`ip_local_port_range`), and the ports of closed connections
/// stay in use for a minute if the client closed first.
final class SourceAddresses: Sendable {
  private let count = Atomic<Int>(0)

  private static let connections = 16_384
  private static let addresses = 200

  /// - Returns: an offset; 0 for the usual address, 127.0.0.1.
  func next() -> Int {
    count.wrappingAdd(1, ordering: .relaxed).oldValue / Self.connections % Self.addresses
  }
}
