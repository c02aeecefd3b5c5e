import Synchronization

/// Which of the loopback addresses a connection comes from.
///
/// One address has some 28,000 ports for connections to one server (`ip_local_port_range`), and those of closed ones are taken
/// for a minute where the client closed first.
final class SourceAddresses: Sendable {
  private let count = Atomic<Int>(0)

  private static let connections = 16_384
  private static let addresses = 200

  /// - Returns: 0 for the usual one, 127.0.0.1.
  func next() -> Int {
    count.wrappingAdd(1, ordering: .relaxed).oldValue / Self.connections % Self.addresses
  }
}
