package import NIOCore
package import NIOPosix
import Transport

/// `KeepAliveProbes` as options of a channel to another server. A server's system answers probes even while the server's
/// program is silent or reads nothing.
private enum SilentPeer {
  static let options: [(ChannelOptions.Types.SocketOption, Int)] = KeepAliveProbes.options.map {
    (.init(level: .init(rawValue: $0.level), name: .init(rawValue: $0.name)), Int($0.value))
  }
}

extension ClientBootstrap {
  /// Lets the kernel probe a server that is silent.
  package func probingWhenSilent() -> ClientBootstrap {
    SilentPeer.options.reduce(self) { bootstrap, option in
      bootstrap.channelOption(option.0, value: option.1)
    }
  }
}

extension Channel {
  /// Lets the kernel probe a server that is silent. Has no effect if the server is another process on this machine.
  package func probeWhenSilent() {
    switch remoteAddress {
    case .v4, .v6:
      // Refused only for a broken connection, whose end will be reported soon.
      for (option, value) in SilentPeer.options { try? syncOptions?.setOption(option, value: value) }
    case .unixDomainSocket, nil: break
    }
  }
}
