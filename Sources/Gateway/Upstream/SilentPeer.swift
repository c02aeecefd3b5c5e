import Glibc
import NIOCore
import NIOPosix
import Transport

/// `KeepAliveProbes` as options of a channel to a server behind Sluice, which answers probes also while its program is silent or
/// reads nothing.
private enum SilentPeer {
  static let options: [(ChannelOptions.Types.SocketOption, Int)] = [
    (.socketOption(.so_keepalive), 1),
    (.tcpOption(.init(rawValue: TCP_KEEPIDLE)), Int(KeepAliveProbes.idle)),
    (.tcpOption(.init(rawValue: TCP_KEEPINTVL)), Int(KeepAliveProbes.interval)),
    (.tcpOption(.init(rawValue: TCP_KEEPCNT)), Int(KeepAliveProbes.count)),
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
