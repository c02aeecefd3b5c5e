package import NIOCore
package import NIOPosix
import Transport

/// `KeepAliveProbes` as options of a channel to another server. A server's system answers probes even while the server's
/// program is silent or reads nothing.
private let probes: [(option: ChannelOptions.Types.SocketOption, value: Int)] = KeepAliveProbes.options.map {
  (.init(level: .init(rawValue: $0.level), name: .init(rawValue: $0.name)), Int($0.value))
}

extension ClientBootstrap {
  /// Lets the kernel probe a server that is silent.
  package func probingWhenSilent() -> ClientBootstrap {
    probes.reduce(self) { $0.channelOption($1.option, value: $1.value) }
  }
}

extension Channel {
  /// Lets the kernel probe a server that is silent. Has no effect if the server is another process on this machine.
  package func probeWhenSilent() {
    switch remoteAddress {
    case .v4, .v6:
      // Refused only for a broken connection, whose end will be reported soon.
      for (option, value) in probes { try? syncOptions?.setOption(option, value: value) }
    case .unixDomainSocket, nil: break
    }
  }
}
