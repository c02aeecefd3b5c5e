import GatewayConfig
import Glibc

/// How many descriptors this process may have open.
struct DescriptorLimit {
  var descriptors: Int

  /// Left for listeners, epoll, files and the log, and for connections beyond the limit that are refused in words.
  private static let reserve = 64 + GatewayState.mostBeyondLimit
  /// What is taken for the limit where there is none, so that a connection limit always exists.
  private static let ceiling = 1 << 20

  /// Raises the soft limit to the hard one, as a server that holds a connection for each client must.
  static func raise() -> DescriptorLimit {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
      return DescriptorLimit(descriptors: 1024)
    }
    let soft = limit.rlim_cur
    limit.rlim_cur = limit.rlim_max
    if unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) != 0 { limit.rlim_cur = soft }
    return DescriptorLimit(descriptors: Int(clamping: min(limit.rlim_cur, rlim_t(ceiling))))
  }

  /// How many connections of clients fit, where each may need a second one to an upstream.
  func forConnections(of application: ApplicationConfiguration) -> Int {
    max(1, (descriptors - Self.reserve) / (application.hasUpstreams ? 2 : 1))
  }
}
