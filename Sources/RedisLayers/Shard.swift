/// Selects the host for a name among several hosts (channels_redis, `_consistent_hash`).
package enum Shard {
  /// The index from the CRC-32 of the name, of which 12 bits are spread evenly over the hosts.
  package static func index(of name: String, count: Int) -> Int {
    guard count > 1 else { return 0 }
    let hash = Double(crc32(name.utf8) & 0xFFF)
    return Int(hash / (4096 / Double(count)))
  }

  /// CRC-32 as in zlib (ISO 3309, reflected, 0xEDB88320).
  static func crc32(_ bytes: some Sequence<UInt8>) -> UInt32 {
    ~bytes.reduce(~UInt32(0)) { crc, byte in table[Int((crc ^ UInt32(byte)) & 0xFF)] ^ (crc >> 8) }
  }

  private static let table: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { value, _ in value & 1 == 1 ? 0xEDB8_8320 ^ (value >> 1) : value >> 1 }
  }
}
