import CLinux
import Glibc

/// Bounds how much the kernel accepts for a socket before it sends it. Without a bound the kernel holds megabytes for a peer
/// that reads nothing, and no count of Sluice includes them.
public enum UnsentBound {
  /// The bytes that the kernel may hold unsent for one connection. Counted for each connection that waits.
  static let kernelShare = 16 * 1024

  /// Sets the bound: for a TCP socket on unsent bytes (`TCP_NOTSENT_LOWAT`, tcp(7)), which accepted sockets inherit from a
  /// listening one; for another socket, which has no such option, on the whole buffer.
  public static func set(on descriptor: Int32) {
    let share = Int32(kernelShare)
    if !SocketCall.set(TCP_NOTSENT_LOWAT, at: Int32(IPPROTO_TCP), to: share, on: descriptor) {
      // A failure leaves the system's own bound.
      SocketCall.set(SO_SNDBUF, to: share, on: descriptor)
    }
  }

  /// Removes the bound. The socket then reports that it is writable.
  static func lift(on descriptor: Int32) {
    SocketCall.set(TCP_NOTSENT_LOWAT, at: Int32(IPPROTO_TCP), to: .max, on: descriptor)
  }
}
