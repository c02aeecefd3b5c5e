package import Routing

/// The configuration that the operator wrote, checked and compiled: the immutable value from which a gateway is started.
///
/// Only `ConfigurationLoader` makes it, so every value is in range and every reference is resolved.
package struct Configuration: Sendable {
  /// The file named on the command line.
  package var file: SourceFile
  /// What its files say; nil for one that was not read from any.
  package var written: WrittenConfiguration?
  /// What the file says in vain.
  package var withoutEffect: [SettingWithoutEffect] = []
  package var channelLayers: [ChannelLayerConfiguration]
  /// `auth:`. Routes refer to the entries by their index.
  package var authenticators: [AuthenticatorConfiguration]
  /// All applications of the file, in its order.
  package var applications: [ApplicationConfiguration]
  /// The application that `asgi_application` names, or the only one.
  package var served: ApplicationConfiguration
  package var server: ServerConfiguration
  package var shutdown: ShutdownConfiguration
  package var logging: LoggingConfiguration
}

/// One entry of `applications`: the equivalent of Django's `ProtocolTypeRouter`.
package struct ApplicationConfiguration: Sendable {
  package var name: String
  /// Includes and nested `routes` are flattened, in order; a route's index is its index in the router.
  package var httpRoutes: [HTTPRoute]
  package var httpRouter: Router
  package var webSocketRoutes: [WebSocketRoute]
  package var webSocketRouter: Router
  package var unmatchedHandshakes = UnmatchedHandshakes()
  /// All ways in which clients of its routes reach groups.
  package var routeGroups: [RouteGroups]
}

extension ApplicationConfiguration {
  /// Whether sessions can belong to a user.
  package var knowsUsers: Bool {
    webSocketRoutes.contains { $0.auth != nil } || httpRoutes.contains { $0.auth != nil }
  }

  /// Whether other processes can give orders about its sessions.
  package var takesOrders: Bool { knowsUsers || allows(PublishConfiguration.ordersAboutUsers) }

  /// Whether one of its routes takes orders about sessions that hold for a time.
  package var takesTimedOrders: Bool { allows([.disconnect, .mute]) }

  /// Whether one of its `publish` routes allows one of the operations.
  private func allows(_ operations: Set<PublishConfiguration.Operation>) -> Bool {
    httpRoutes.contains {
      guard case .publish(let publish) = $0.action else { return false }
      return !publish.operations.isDisjoint(with: operations)
    }
  }

  /// The groups that clients of its routes join.
  package var groups: [GroupConfiguration] {
    webSocketRoutes.compactMap(\.consumer.group) + httpRoutes.compactMap(\.events?.group)
  }

  /// The aliases of the channel layers that its routes use.
  package var channelLayers: Set<String> {
    let published = httpRoutes.compactMap {
      if case .publish(let publish) = $0.action { publish.layer } else { nil }
    }
    return Set(groups.map(\.layer) + published)
  }

  /// Whether a client's connection may need a second one, to an upstream.
  package var hasUpstreams: Bool {
    httpRoutes.contains { if case .proxy = $0.action { true } else { false } }
      || webSocketRoutes.contains { $0.consumer.upstream != nil }
  }

  /// Whether a session may need a connection with TLS to an upstream.
  package var hasSecureUpstreams: Bool { webSocketRoutes.contains { $0.consumer.upstream?.scheme == .wss } }
}

extension Configuration {
  /// Of all files that were read for it: see `ReadFile`. Secrets are not part of it.
  package var digest: String { written?.source.digest ?? "" }
}
