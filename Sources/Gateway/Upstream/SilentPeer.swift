import Glibc
import NIOCore
import NIOPosix

/// How the kernel finds out that a server behind Sluice has vanished without a word, a minute after it was last heard of: by probes
/// (`SO_KEEPALIVE`), which a server that lives answers also while its program is silent or reads nothing.
private enum SilentPeer {
  /// In seconds: the silence before the first probe, and the time between two.
  static let silence: Int = 30
  static let interval: Int = 10
  /// As many without an answer end the connection.
  static let probes: Int = 3

  static let options: [(ChannelOptions.Types.SocketOption, Int)] = [
    (.socketOption(.so_keepalive), 1),
    (.tcpOption(.init(rawValue: TCP_KEEPIDLE)), silence),
    (.tcpOption(.init(rawValue: TCP_KEEPINTVL)), interval),
    (.tcpOption(.init(rawValue: TCP_KEEPCNT)), probes),
  ]
}

extension ClientBootstrap {
  /// Lets the kernel probe a server that is silent.
  func probingWhenSilent() -> ClientBootstrap {
    SilentPeer.options.reduce(self) { bootstrap, option in
      bootstrap.channelOption(option.0, value: option.1)
    }
  }
}

extension Channel {
  /// Lets the kernel probe a server that is silent. Does nothing where the server is another process of this machine.
  func probeWhenSilent() {
    switch remoteAddress {
    case .v4, .v6:
      // Refused only for a connection that is broken already, which is about to be told.
      for (option, value) in SilentPeer.options { try? syncOptions?.setOption(option, value: value) }
    case .unixDomainSocket, nil: break
    }
  }
}
