import CLinux
import Glibc

/// System calls about sockets and other descriptors, as several types make them.
enum SocketCall {
  /// Kept from the programs that this process executes, and never waited for.
  static let streamFlags = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)

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

  /// The error that has happened to a socket, which is reported once: `errno`; 0 for none.
  static func pendingError(of raw: Int32) -> Int32 {
    var code: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    _ = unsafe getsockopt(raw, SOL_SOCKET, SO_ERROR, &code, &size)
    return code
  }

  /// Waits until the descriptor is ready, or the time is over; without end where there is none.
  ///
  /// - Returns: the events that the descriptor is ready for, or 0. An invalid descriptor is ready: the write then reports the
  ///   error.
  static func poll(_ descriptor: Int32, _ events: Int32, until time: MonotonicTime?) -> Int16 {
    var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
    while true {
      let left = time.map { $0.nanoseconds &- min($0.nanoseconds, MonotonicTime.now.nanoseconds) }
      let milliseconds = left.map { Int32(clamping: ($0 + 999_999) / 1_000_000) } ?? -1
      let count = unsafe Glibc.poll(&entry, 1, milliseconds)
      if count >= 0 || errno != EINTR { return count > 0 ? entry.revents : 0 }
    }
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
