import ChannelLayers
import Gateway
import GatewayConfig
import NIOPosix
import RedisLayers
import Transport

/// Tries the Redis layers of a configuration, and whether a Django project uses the same ones.
///
/// A problem is a finding at the layer's place in the file, like any other mistake.
enum LayerTrial {
  /// - Parameter django: the project whose `CHANNEL_LAYERS` must match; nil to try only the layers.
  /// - Returns: empty if every layer delivers events in both directions.
  static func run(_ configuration: Configuration, django: DjangoProject?) async throws -> [Finding] {
    let shortage = DescriptorLimit.shortageOfClient()
    var findings: [Finding] = []
    for layer in configuration.channelLayers {
      guard case .redis(let redis) = layer.backend else {
        if django != nil { findings.append(unreachable(layer)) }
        continue
      }
      if let shortage {
        findings.append(
          Finding(.error, .layerUnreachable, "channel layer \"\(layer.alias)\": \(shortage)", at: layer.range)
        )
        continue
      }
      let uses = configuration.served.uses(ofLayer: layer.alias)
      // Never shut down: a name that is still being resolved, or an attempt to connect, may end after the trial.
      findings += try await run(layer, redis, uses, django, on: .singleton)
    }
    return findings
  }

  private static func unreachable(_ layer: ChannelLayerConfiguration) -> Finding {
    Finding(
      .error, .djangoDisagrees,
      "channel layer \"\(layer.alias)\" keeps its messages in this process: neither Django nor another process can reach it",
      at: layer.range, hint: "use backend: redis, with the hosts of CHANNEL_LAYERS")
  }

  private static func run(
    _ layer: ChannelLayerConfiguration, _ redis: RedisLayerConfiguration, _ uses: LayerUses,
    _ django: DjangoProject?, on loop: MultiThreadedEventLoopGroup
  ) async throws -> [Finding] {
    let one = try await RedisTrial(redis, alias: layer.alias, for: uses, on: loop)
    let other = try await RedisTrial(redis, alias: layer.alias, for: uses, on: loop)
    var findings: [Finding] = []
    do throws(LayerFailure) {
      try await one.open()
      try await other.open()
      try await talk(from: one, to: other)
      try await talk(from: other, to: one)
      if let django {
        findings = await DjangoTrial(project: django, layer: layer, redis: redis).run(with: one)
      }
    } catch {
      findings = [
        Finding(
          .error, .layerUnreachable, "channel layer \"\(layer.alias)\": \(error.text)", at: layer.range,
          hint: error.hint)
      ]
    }
    await one.close()
    await other.close()
    return findings
  }

  /// Sends an event from one process to the other, like two gateways.
  private static func talk(from one: RedisTrial, to other: RedisTrial) async throws(LayerFailure) {
    let token = RedisTrial.freshName()
    var fault = one.send(token, to: other.group)
    if fault == nil, await !other.hears(token) { fault = "an event from one process did not reach the other" }
    if let fault { throw .init(text: fault, hint: "check the rights (ACL) of the Redis user") }
  }
}
