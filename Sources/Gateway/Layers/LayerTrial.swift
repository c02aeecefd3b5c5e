import ChannelLayers
package import GatewayConfig
import NIOCore
import NIOPosix
import Transport

/// Tries the Redis layers of a configuration for real, and whether a Django project speaks through the same ones.
///
/// What goes wrong is a finding at the layer's place in the file, like every other mistake in it.
package enum LayerTrial {
  /// - Parameter django: whose `CHANNEL_LAYERS` are to agree; nil tries only the layers themselves.
  /// - Returns: nothing where every layer carries events both ways.
  package static func run(_ configuration: Configuration, django: DjangoProject?) async throws -> [Finding] {
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
      "channel layer \"\(layer.alias)\": no other process reaches the memory of this one, Django neither",
      at: layer.range, hint: "backend: redis, with the hosts of CHANNEL_LAYERS")
  }

  private static func run(
    _ layer: ChannelLayerConfiguration, _ redis: RedisLayerConfiguration, _ uses: RedisLayerUses,
    _ django: DjangoProject?, on loop: MultiThreadedEventLoopGroup
  ) async throws -> [Finding] {
    let one = try await RedisTrial(redis, alias: layer.alias, for: uses, on: loop)
    let other = try await RedisTrial(redis, alias: layer.alias, for: uses, on: loop)
    var findings: [Finding] = []
    do throws(RedisTrial.Failure) {
      try await one.open()
      try await other.open()
      try await talk(from: one, to: other)
      try await talk(from: other, to: one)
      if let django { findings = await DjangoTrial(django, layer, redis).run(with: one) }
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

  /// As two gateways would.
  private static func talk(from one: RedisTrial, to other: RedisTrial) async throws(RedisTrial.Failure) {
    let token = RedisTrial.freshName()
    let refused = one.send(token, to: other.group)
    if let refused { throw .init(text: refused, hint: "look at what the user may do in Redis") }
    guard await other.hears(token) else {
      throw .init(text: "an event did not arrive", hint: "look at what the user may do in Redis")
    }
  }
}
