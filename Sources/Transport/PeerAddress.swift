public import Bytes
import Glibc

/// The address of the other end of a connection.
public enum PeerAddress: Sendable, Hashable {
  /// Port 0 means that the port is not known, because a proxy named only the address. The zone is the number of the network
  /// interface of a link-local address (RFC 4007 section 6), or 0.
  case tcp(IPAddress, port: Int, zone: UInt32 = 0)
  /// A client of a Unix socket has no address.
  case unix

  /// The other end of a connected socket, as the system knows it.
  ///
  /// - Returns: nil if it is gone: a client can send its request and reset the connection at once.
  public init?(ofSocket raw: Int32) {
    guard let peer = unsafe SocketAddress({ unsafe getpeername(raw, $0, $1) })?.peer else { return nil }
    self = peer
  }
}

extension PeerAddress {
  /// Without the port and the zone; nil where there is no address.
  public var address: IPAddress? {
    if case .tcp(let address, _, _) = self { address } else { nil }
  }

  /// The address with its zone, as text; nil where there is none.
  public var host: String? {
    guard case .tcp(let address, _, let zone) = self else { return nil }
    return zone == 0 ? "\(address)" : "\(address)%\(Self.name(ofZone: zone))"
  }

  /// The name of the interface, or its number where that is gone.
  private static func name(ofZone zone: UInt32) -> String {
    unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(IF_NAMESIZE)) { name in
      guard let base = name.baseAddress, unsafe if_indextoname(zone, base) != nil else { return "\(zone)" }
      return unsafe String(cString: base)
    }
  }
}

extension PeerAddress: CustomStringConvertible {
  public var description: String {
    guard case .tcp(let address, let port, _) = self, let host else { return "unix" }
    if port == 0 { return host }
    return address.isV4 ? "\(host):\(port)" : "[\(host)]:\(port)"
  }
}

/// What a listener is bound to.
public enum Endpoint: Sendable, Hashable {
  case tcp(host: String, port: Int)
  case unix(path: String)
}

/// The system's form of an address.
struct SocketAddress {
  private var storage = sockaddr_storage()
  private var length = socklen_t(MemoryLayout<sockaddr_storage>.size)

  /// Lets a system call fill the address in.
  init?(_ fill: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32) {
    let result = unsafe withUnsafeMutablePointer(to: &storage) { storage in
      unsafe withUnsafeMutablePointer(to: &length) { length in
        unsafe storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe fill($0, length) }
      }
    }
    guard result >= 0 else { return nil }
  }

  /// How many bytes the system's structure has for the path of a Unix socket, without the zero at its end.
  static var unixPathLengths: ClosedRange<Int> { 1...107 }

  /// - Precondition: the length of the path is one of `unixPathLengths`.
  init(unixPath path: String) {
    unsafe withUnsafeMutableBytes(of: &storage) { bytes in
      unsafe bytes.storeBytes(of: sa_family_t(AF_UNIX), as: sa_family_t.self)
      unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[2...]).copyBytes(from: path.utf8)
    }
    length = socklen_t(2 + path.utf8.count + 1)
  }

  /// A Unix socket that has a name and no file (`unix(7)`): its name begins with a zero, and is as long as the address says.
  ///
  /// - Precondition: the length of the name with the zero is one of `unixPathLengths`.
  init(abstract name: String) {
    self.init(unixPath: "\0" + name)
    length = socklen_t(2 + 1 + name.utf8.count)
  }

  func pass<Result>(to call: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    unsafe withUnsafePointer(to: storage) { storage in
      unsafe storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe call($0, length) }
    }
  }

  var family: Int32 { Int32(storage.ss_family) }

  var peer: PeerAddress {
    unsafe withUnsafeBytes(of: storage) { bytes in
      switch Int32(storage.ss_family) {
      case AF_INET:
        // sin_addr.
        let bits = unsafe bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
        return .tcp(IPAddress(v4: UInt32(bigEndian: bits)), port: port)
      case AF_INET6:
        // sin6_addr and sin6_scope_id. On a dual-stack socket the address of an IPv4 client is IPv4-mapped.
        guard let address = unsafe IPAddress(networkOrder: bytes[8..<24]) else { return .unix }
        return .tcp(
          address, port: port, zone: unsafe bytes.loadUnaligned(fromByteOffset: 24, as: UInt32.self))
      default: return .unix
      }
    }
  }

  var endpoint: Endpoint {
    switch Int32(storage.ss_family) {
    case AF_INET, AF_INET6: return .tcp(host: numericHost, port: port)
    default: return .unix(path: path)
    }
  }

  /// On a dual-stack socket the system writes an IPv4 address as `::ffff:192.0.2.1` (RFC 4291 section 2.5.5.2). People and
  /// other programs expect the plain form.
  private var numericHost: String {
    let written = writtenHost
    guard Int32(storage.ss_family) == AF_INET6, written.hasPrefix("::ffff:"),
      written.utf8.contains(UInt8(ascii: "."))
    else { return written }
    return String(written.dropFirst("::ffff:".count))
  }

  private var writtenHost: String {
    unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(NI_MAXHOST)) { host in
      let status = unsafe pass { address, length in
        unsafe getnameinfo(address, length, host.baseAddress, socklen_t(host.count), nil, 0, NI_NUMERICHOST)
      }
      guard status == 0, let base = host.baseAddress else { return "?" }
      return unsafe String(cString: base)
    }
  }

  private var port: Int {
    // sin_port and sin6_port are at the same place, behind the family.
    unsafe withUnsafeBytes(of: storage) {
      Int(UInt16(bigEndian: unsafe $0.loadUnaligned(fromByteOffset: 2, as: UInt16.self)))
    }
  }

  private var path: String {
    unsafe withUnsafeBytes(of: storage) { bytes in
      let end = min(Int(length), bytes.count)
      guard end > 2 else { return "" }
      return unsafe String(decoding: bytes[2..<end].prefix { $0 != 0 }, as: UTF8.self)
    }
  }
}
