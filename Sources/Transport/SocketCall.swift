import CLinux
import Glibc

/// System calls about sockets, as several types make them.
enum SocketCall {
  /// Kept from the programs that this process executes, and never waited for.
  static let streamFlags = Int32(
    SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)

  static func open(_ family: Int32) throws(TransportFailure) -> Descriptor {
    let raw = socket(family, streamFlags, 0)
    guard raw >= 0 else { throw TransportFailure("open a socket", errno) }
    return Descriptor(adopting: raw)
  }

  /// - Returns: false where the socket has no such option; `errno` says why.
  @discardableResult
  static func set(_ option: Int32, at level: Int32 = SOL_SOCKET, to value: Int32 = 1, on raw: Int32) -> Bool {
    var value = value
    return unsafe setsockopt(raw, level, option, &value, socklen_t(MemoryLayout<Int32>.size)) == 0
  }

  /// The addresses that a name has, in the system's order. Blocks.
  ///
  /// - Parameter flags: besides `AI_NUMERICSERV`.
  static func resolve(
    host: String, port: Int, flags: Int32 = 0
  ) throws(TransportFailure) -> [(family: Int32, address: SocketAddress)] {
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    unsafe hints.ai_flags = flags | AI_NUMERICSERV
    var list: UnsafeMutablePointer<addrinfo>?
    let status = unsafe getaddrinfo(host, String(port), &hints, &list)
    defer { if let list = unsafe list { unsafe freeaddrinfo(list) } }
    guard status == 0 else {
      throw .cannotResolve(unsafe gai_strerror(status).map { unsafe String(cString: $0) } ?? "unknown host")
    }
    var found: [(family: Int32, address: SocketAddress)] = []
    var next = unsafe list
    while let info = unsafe next {
      if let address = unsafe SocketAddress(copying: info.pointee) {
        found.append((unsafe info.pointee.ai_family, address))
      }
      unsafe next = info.pointee.ai_next
    }
    return found
  }
}

extension SocketAddress {
  fileprivate init?(copying info: addrinfo) {
    unsafe self.init { storage, length in
      guard let source = unsafe info.ai_addr, unsafe info.ai_addrlen <= length.pointee else { return -1 }
      unsafe UnsafeMutableRawPointer(storage).copyMemory(from: source, byteCount: Int(info.ai_addrlen))
      unsafe length.pointee = info.ai_addrlen
      return 0
    }
  }
}
