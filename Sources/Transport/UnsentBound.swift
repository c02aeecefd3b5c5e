import CLinux
import Glibc

/// How much the kernel takes for a socket before it is on its way. Without a bound it takes megabytes for a peer that reads nothing, which
/// no count of ours sees.
public enum UnsentBound {
  /// What one connection may have in the kernel that was not put on the way yet; counted for each connection that waits. Bytes.
  static let kernelShare = 16 * 1024

  /// Bounds it: of a TCP socket what is not on its way (`TCP_NOTSENT_LOWAT`, tcp(7)), which a listening one passes on to what it accepts;
  /// of another one, which has no such option, the whole buffer.
  public static func set(on descriptor: Int32) {
    if !setUnsent(Int32(kernelShare), on: descriptor) {
      // A failure leaves the system's own bound.
      _ = setOption(SOL_SOCKET, SO_SNDBUF, Int32(kernelShare), on: descriptor)
    }
  }

  /// Lets the kernel take what it likes to. The socket then reports that it can be written to.
  static func lift(on descriptor: Int32) {
    _ = setUnsent(.max, on: descriptor)
  }

  /// - Returns: false where the socket is not TCP.
  private static func setUnsent(_ most: Int32, on descriptor: Int32) -> Bool {
    setOption(Int32(IPPROTO_TCP), TCP_NOTSENT_LOWAT, most, on: descriptor)
  }

  private static func setOption(_ level: Int32, _ option: Int32, _ value: Int32, on descriptor: Int32) -> Bool
  {
    var value = value
    return unsafe setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size)) == 0
  }
}
