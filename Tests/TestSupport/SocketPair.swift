import Glibc

/// A connected pair of sockets: one end for a reactor, one to use with plain blocking calls, of which none waits for ever.
package func socketPair() -> (reactor: Int32, test: Int32) {
  var ends: [Int32] = [0, 0]
  precondition(unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
  setNonBlocking(ends[0])
  setTimeout(ends[1])
  return (ends[0], ends[1])
}

package func setNonBlocking(_ descriptor: Int32, _ isOn: Bool = true) {
  let flags = fcntl(descriptor, F_GETFL) & ~O_NONBLOCK
  _ = fcntl(descriptor, F_SETFL, isOn ? flags | O_NONBLOCK : flags)
}

/// Lets a blocking read end after twenty seconds.
package func setTimeout(_ descriptor: Int32) {
  var time = timeval(tv_sec: 20, tv_usec: 0)
  _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
}
