import CLinux
import Glibc

/// The system's event queue.
struct Epoll: ~Copyable {
  static var input: UInt32 { 0x001 }
  static var output: UInt32 { 0x004 }
  static var error: UInt32 { 0x008 }
  static var hangUp: UInt32 { 0x010 }
  /// Wakes only one of several epolls that watch the same listening socket (`EPOLLEXCLUSIVE`).
  static var exclusive: UInt32 { 1 << 28 }

  private let descriptor: Descriptor

  init() throws(TransportFailure) {
    let raw = epoll_create1(Int32(EPOLL_CLOEXEC))
    guard raw >= 0 else { throw TransportFailure("make an event queue", errno) }
    descriptor = Descriptor(adopting: raw)
  }

  func add(_ watched: Int32, for events: UInt32, token: UInt64) throws(TransportFailure) {
    guard control(EPOLL_CTL_ADD, watched, events, token) else {
      throw TransportFailure("watch a descriptor", errno)
    }
  }

  /// The descriptor is registered, so the system has no reason to refuse.
  func change(_ watched: Int32, to events: UInt32, token: UInt64) {
    _ = control(EPOLL_CTL_MOD, watched, events, token)
  }

  func remove(_ watched: Int32) {
    _ = control(EPOLL_CTL_DEL, watched, 0, 0)
  }

  /// - Returns: how many events were put into the buffer; none after an interruption.
  func wait(_ events: UnsafeMutableBufferPointer<epoll_event>, milliseconds: Int32) -> Int {
    max(0, Int(unsafe epoll_wait(descriptor.rawValue, events.baseAddress, Int32(events.count), milliseconds)))
  }

  private func control(_ operation: Int32, _ watched: Int32, _ events: UInt32, _ token: UInt64) -> Bool {
    var event = unsafe epoll_event(events: events, data: epoll_data_t(u64: token))
    return unsafe epoll_ctl(descriptor.rawValue, operation, watched, &event) == 0
  }
}
