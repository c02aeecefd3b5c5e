import Glibc

/// The system's own search for peers that vanished (`SO_KEEPALIVE`, tcp(7)). It costs nothing while data arrives, and ends a
/// connection on which nothing arrived for a minute although the peer was probed three times.
///
/// The system sends probes only while no data is on its way to the peer. A vanished peer that still has data to receive is
/// found by `PeerReport`. A living peer always answers, even one that does not read.
public enum KeepAliveProbes {
  /// Seconds of silence before the first probe.
  public static let idle: Int32 = 30
  /// Seconds between probes.
  public static let interval: Int32 = 10
  /// Number of unanswered probes that end the connection.
  public static let count: Int32 = 3

  /// How long a peer has to be silent to be considered gone.
  public static let bound = Duration.seconds(Int(idle + interval * count))

  /// The options of a socket. A listening one passes them on to what it accepts.
  public static let options: [(level: Int32, name: Int32, value: Int32)] = [
    (SOL_SOCKET, SO_KEEPALIVE, 1),
    (Int32(IPPROTO_TCP), TCP_KEEPIDLE, idle),
    (Int32(IPPROTO_TCP), TCP_KEEPINTVL, interval),
    (Int32(IPPROTO_TCP), TCP_KEEPCNT, count),
  ]
}
