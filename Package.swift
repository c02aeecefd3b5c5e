// swift-tools-version: 6.2
import PackageDescription

// The targets in the order of a request; each may import only from the rows below it.
//
//     6  sluice                                          commands, and their tools
//     5  Gateway                                         accept, HTTP, publishing, TLS, life cycle
//     4  Sessions                                        from a request's head to the end of its session
//     3  Consumers                                       what a session does
//     3  RedisLayers                                     how an event travels from process to process
//     2  ChannelLayers                                   how an event travels
//     2  Bench                                           what a load is, and what it measures
//     2  RedisClient                                     what speaks to a Redis, and keeps a connection
//     1  GatewayConfig                                   what the operator wrote
//     1  NetworkFaults                                   why a connection failed, and how a dead one is found
//     0  CLinux   CTLS   CYAML   CZlib   Bytes   JSON   Routing   WebSocketCore   Transport
let package = Package(
  name: "sluice",
  platforms: [.macOS(.v15)],
  products: [.executable(name: "sluice", targets: ["sluice"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-collections.git", from: "1.2.0"),
    .package(url: "https://github.com/apple/swift-crypto.git", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-http-types.git", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl.git", from: "2.30.0"),
    .package(url: "https://github.com/swift-server/async-http-client.git", from: "1.30.0"),
    .package(
      url: "https://github.com/hummingbird-project/hummingbird.git", from: "2.28.1", traits: []),
    .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift.git", from: "0.2.0"),
    .package(url: "https://github.com/vapor/jwt-kit.git", from: "5.2.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-system.git", from: "1.8.1"),
    .package(url: "https://github.com/swiftlang/swift-subprocess.git", from: "1.0.2", traits: []),
  ],
  targets: [
    .systemLibrary(
      name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"]), .brew(["libyaml"])]),
    .systemLibrary(
      name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]),
    // Its views of bytes say how long they live.
    .target(name: "Bytes", swiftSettings: [.enableExperimentalFeature("Lifetimes")]),
    .target(name: "JSON", dependencies: ["Bytes"]),
    .target(name: "Routing", dependencies: ["Bytes"]),
    .target(
      name: "WebSocketCore",
      dependencies: ["Bytes", "CZlib", .product(name: "Crypto", package: "swift-crypto")]),
    .systemLibrary(name: "CLinux"),
    // OpenSSL is used in here only: its names are also those of the copy that swift-nio-ssl has.
    .target(name: "CTLS", linkerSettings: [.linkedLibrary("ssl"), .linkedLibrary("crypto")]),
    .target(
      name: "Transport",
      dependencies: ["Bytes", "CLinux", "CTLS", .product(name: "DequeModule", package: "swift-collections")]),

    .target(
      name: "NetworkFaults",
      dependencies: [
        "Transport",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
      ]),

    .target(
      name: "GatewayConfig",
      dependencies: [
        "Bytes", "CYAML", "JSON", "Routing", "Transport",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "JWTKit", package: "jwt-kit"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
      ]),
    .target(
      name: "ChannelLayers",
      dependencies: [
        "Bytes", "GatewayConfig", "JSON", "Routing", "Transport",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "CryptoExtras", package: "swift-crypto"),
        .product(name: "DequeModule", package: "swift-collections"),
      ]),
    .target(
      name: "RedisClient",
      dependencies: [
        "Bytes", "GatewayConfig", "NetworkFaults", "Transport",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "NIOTLS", package: "swift-nio"),
      ]),
    .target(
      name: "RedisLayers",
      dependencies: [
        "Bytes", "ChannelLayers", "GatewayConfig", "JSON", "RedisClient", "Transport",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "CryptoExtras", package: "swift-crypto"),
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ]),

    .target(
      name: "Bench",
      dependencies: [
        "Bytes", "JSON", "NetworkFaults", "Transport", "WebSocketCore",
        .product(name: "Histogram", package: "hdrhistogram-swift"),
      ]),

    .target(
      name: "Consumers",
      dependencies: [
        "Bytes", "ChannelLayers", "GatewayConfig", "JSON", "Routing", "Transport", "WebSocketCore",
      ]),

    .target(
      name: "Sessions",
      dependencies: [
        "Bytes", "ChannelLayers", "Consumers", "GatewayConfig", "JSON", "NetworkFaults", "Routing",
        "Transport", "WebSocketCore",
        .product(name: "AsyncHTTPClient", package: "async-http-client"),
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "JWTKit", package: "jwt-kit"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
      ]),

    .target(
      name: "Gateway",
      dependencies: [
        "Bytes", "CLinux", "ChannelLayers", "Consumers", "GatewayConfig", "JSON", "NetworkFaults",
        "RedisLayers",
        "Routing", "Sessions", "Transport", "WebSocketCore",
        .product(name: "AsyncHTTPClient", package: "async-http-client"),
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "HummingbirdCore", package: "hummingbird"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "NIOTLS", package: "swift-nio"),
      ]),

    .executableTarget(
      name: "sluice",
      dependencies: [
        "Bench", "Bytes", "ChannelLayers", "Gateway", "GatewayConfig", "JSON", "NetworkFaults",
        "RedisLayers", "Routing", "Sessions", "Transport", "WebSocketCore",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "AsyncHTTPClient", package: "async-http-client"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "Subprocess", package: "swift-subprocess"),
        .product(name: "SystemPackage", package: "swift-system"),
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
      ],
      // Dispatch, where it is linked dynamically, is to find it: see OpenForDispatch.swift.
      linkerSettings: [.unsafeFlags(["-Xlinker", "--export-dynamic-symbol=open"])]),

    // What tests share: each may import what the tests of its layer may.
    .target(name: "TestSupport", path: "Tests/TestSupport"),
    .target(
      name: "LayerTestSupport",
      dependencies: [
        "ChannelLayers", "GatewayConfig", "RedisClient", "Transport",
        .product(name: "Logging", package: "swift-log"),
      ], path: "Tests/LayerTestSupport"),
    .target(
      name: "GatewayTestSupport",
      dependencies: [
        "Bytes", "Gateway", "GatewayConfig", "WebSocketCore",
        .product(name: "CryptoExtras", package: "swift-crypto"),
        .product(name: "JWTKit", package: "jwt-kit"),
        .product(name: "Logging", package: "swift-log"),
      ],
      path: "Tests/GatewayTestSupport"),
    .testTarget(name: "BytesTests", dependencies: ["Bytes", "TestSupport"]),
    .testTarget(name: "JSONTests", dependencies: ["Bytes", "JSON", "TestSupport"]),
    .testTarget(name: "RoutingTests", dependencies: ["Bytes", "Routing", "TestSupport"]),
    .testTarget(name: "WebSocketCoreTests", dependencies: ["Bytes", "TestSupport", "WebSocketCore"]),
    .testTarget(
      name: "TransportTests",
      dependencies: [
        "Bytes", "CLinux", "TestSupport", "Transport",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOEmbedded", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
      ]),
    .testTarget(
      name: "GatewayConfigTests",
      dependencies: ["Bytes", "GatewayConfig", "JSON", "LayerTestSupport", "Routing", "TestSupport"],
      exclude: ["Fixtures"]),
    .testTarget(
      name: "ChannelLayersTests",
      dependencies: [
        "Bytes", "ChannelLayers", "GatewayConfig", "JSON", "LayerTestSupport", "Routing", "TestSupport",
        "Transport",
      ]),
    .testTarget(
      name: "RedisClientTests",
      dependencies: [
        "LayerTestSupport", "RedisClient", "TestSupport", "Transport",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOEmbedded", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "NIOTLS", package: "swift-nio"),
      ]),
    .testTarget(
      name: "RedisLayersTests",
      dependencies: [
        "Bytes", "ChannelLayers", "GatewayConfig", "JSON", "LayerTestSupport", "RedisClient", "RedisLayers",
        "Routing", "TestSupport", "Transport",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ]),
    .testTarget(
      name: "BenchTests",
      dependencies: [
        "Bench", "Bytes", "Gateway", "GatewayConfig", "GatewayTestSupport", "LayerTestSupport", "Transport",
        "WebSocketCore",
        .product(name: "Logging", package: "swift-log"),
      ]),
    .testTarget(
      name: "ConsumersTests",
      dependencies: [
        "Bytes", "ChannelLayers", "Consumers", "GatewayConfig", "JSON", "Routing", "TestSupport",
        "Transport", "WebSocketCore",
      ]),
    .testTarget(
      name: "SessionsTests",
      dependencies: [
        "Bytes", "ChannelLayers", "Consumers", "GatewayConfig", "GatewayTestSupport", "JSON",
        "LayerTestSupport", "NetworkFaults", "Routing", "Sessions", "TestSupport", "Transport",
        "WebSocketCore",
        .product(name: "JWTKit", package: "jwt-kit"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOEmbedded", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ]),
    .testTarget(
      name: "GatewayTests",
      dependencies: [
        "Bytes", "ChannelLayers", "Consumers", "Gateway", "GatewayConfig", "GatewayTestSupport", "JSON",
        "LayerTestSupport", "Routing", "Sessions", "TestSupport", "Transport", "WebSocketCore",
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "HummingbirdCore", package: "hummingbird"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOEmbedded", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ]),
  ]
)

// One strictness for every target of ours.
//
// What a message passes on its way through modules is `public`, all else `package`: the optimizer crosses modules for public
// declarations only (540 instead of 410 instructions for an echo).
for target in package.targets where target.type != .system {
  target.swiftSettings =
    (target.swiftSettings ?? []) + [
      .enableUpcomingFeature("ExistentialAny"),
      .enableUpcomingFeature("InternalImportsByDefault"),
      .enableUpcomingFeature("MemberImportVisibility"),
      .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
      .strictMemorySafety(),
      .treatAllWarnings(as: .error),
      .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
    ]
}
