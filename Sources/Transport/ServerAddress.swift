import CLinux
import Glibc

/// Where a server listens, for whoever connects to it; a name is resolved once.
public struct ServerAddress: Sendable {
  private let address: SocketAddress
  private let family: Int32

  /// The first of the addresses of a name at which a server accepts a connection. Blocks.
  ///
  /// - Parameter timeout: for each of the addresses.
  public static func find(
    host: String, port: Int, timeout: Duration
  ) throws(TransportFailure) -> ServerAddress {
    var failure = TransportFailure.cannotResolve("it has no address")
    for address in try resolve(host: host, port: port) {
      do throws(TransportFailure) {
        try address.probe(timeout)
        return address
      } catch {
        failure = error
      }
    }
    throw failure
  }

  private static func resolve(host: String, port: Int) throws(TransportFailure) -> [ServerAddress] {
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    unsafe hints.ai_flags = AI_NUMERICSERV
    var list: UnsafeMutablePointer<addrinfo>?
    let status = unsafe getaddrinfo(host, String(port), &hints, &list)
    defer { if let list = unsafe list { unsafe freeaddrinfo(list) } }
    guard status == 0 else {
      throw .cannotResolve(unsafe gai_strerror(status).map { unsafe String(cString: $0) } ?? "unknown host")
    }
    var found: [ServerAddress] = []
    var next = unsafe list
    while let info = unsafe next {
      if let address = unsafe ServerAddress(info.pointee) { found.append(address) }
      unsafe next = info.pointee.ai_next
    }
    return found
  }

  private init?(_ info: addrinfo) {
    unsafe family = info.ai_family
    let copied = unsafe SocketAddress { storage, length in
      guard let source = unsafe info.ai_addr, unsafe info.ai_addrlen <= length.pointee else { return -1 }
      unsafe UnsafeMutableRawPointer(storage).copyMemory(from: source, byteCount: Int(info.ai_addrlen))
      unsafe length.pointee = info.ai_addrlen
      return 0
    }
    guard let copied else { return nil }
    address = copied
  }

  /// Starts a connection and does not wait for it. A reactor adopts it at once: what is written is sent when the connection
  /// stands, and a failure is its end.
  public func dial() throws(TransportFailure) -> Descriptor {
    let flags = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
    let raw = socket(family, flags, 0)
    guard raw >= 0 else { throw TransportFailure("open a socket", errno) }
    let descriptor = Descriptor(adopting: raw)
    var on: Int32 = 1
    _ = unsafe setsockopt(
      raw, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    let status = unsafe address.pass(to: { unsafe connect(raw, $0, $1) })
    // Interrupted, it goes on by itself.
    guard status == 0 || errno == EINPROGRESS || errno == EINTR else { throw .cannotConnect(errno) }
    return descriptor
  }

  /// Waits for one connection, and closes it.
  private func probe(_ timeout: Duration) throws(TransportFailure) {
    let descriptor = try dial()
    let deadline = MonotonicTime.now + timeout
    var watched = pollfd(fd: descriptor.rawValue, events: Int16(POLLOUT), revents: 0)
    while true {
      let now = MonotonicTime.now
      guard now < deadline else { throw .cannotConnect(ETIMEDOUT) }
      let left = Int32(clamping: (deadline.nanoseconds - now.nanoseconds) / 1_000_000 + 1)
      if unsafe poll(&watched, 1, left) > 0 { break }
    }
    var code: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    _ = unsafe getsockopt(descriptor.rawValue, SOL_SOCKET, SO_ERROR, &code, &size)
    guard code == 0 else { throw .cannotConnect(code) }
  }
}
