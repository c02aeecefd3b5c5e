package import NIOCore
package import NIOPosix
import Transport

/// `KeepAliveProbes` as options of a channel to another server, which answers probes also while its program is silent or reads
/// nothing.
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
  /// Lets the kernel probe a server that is silent. Does nothing where the server is another process of this machine.
  package func probeWhenSilent() {
    switch remoteAddress {
    case .v4, .v6:
      // Refused only for a connection that is broken already, which is about to be told.
      for (option, value) in SilentPeer.options { try? syncOptions?.setOption(option, value: value) }
    case .unixDomainSocket, nil: break
    }
  }
}
