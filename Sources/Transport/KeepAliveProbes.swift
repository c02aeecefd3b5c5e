import Glibc

/// The system's own search for peers that are gone without a word (`SO_KEEPALIVE`, tcp(7)): it costs nothing while something comes, and
/// ends a connection on which nothing was heard for a minute although the peer was asked three times.
///
/// It asks only while nothing is on its way to the peer: what finds a peer that takes nothing is `PeerReport`. A living peer always
/// answers, also one that does not read.
public enum KeepAliveProbes {
  /// Seconds of silence before the first question.
  public static let idle: Int32 = 30
  /// Seconds between questions.
  public static let interval: Int32 = 10
  /// Questions without an answer that end the connection.
  public static let count: Int32 = 3

  /// How long the silence of a peer lasts that is taken to be gone.
  public static let bound = Duration.seconds(Int(idle + interval * count))

  /// Sets the options of a socket. A listening one passes them on to what it accepts. Sockets that are not TCP ignore them.
  public static func enable(on descriptor: Int32) {
    for option in options { set(descriptor, option.level, option.name, option.value) }
  }

  /// The same for sockets that somebody else sets options of.
  public static let options: [(level: Int32, name: Int32, value: Int32)] = [
    (SOL_SOCKET, SO_KEEPALIVE, 1),
    (Int32(IPPROTO_TCP), TCP_KEEPIDLE, idle),
    (Int32(IPPROTO_TCP), TCP_KEEPINTVL, interval),
    (Int32(IPPROTO_TCP), TCP_KEEPCNT, count),
  ]

  private static func set(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
    var value = value
    // A failure means that it is no TCP socket.
    _ = unsafe setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
  }
}
