import Bytes
import GatewayConfig
import JSON
import RedisLayers
import Subprocess
import SystemPackage

/// A Django project to try a layer with.
struct DjangoProject: Sendable {
  /// As in `DJANGO_SETTINGS_MODULE`; searched from the working directory.
  var settings: String
  /// The interpreter with Django and channels_redis.
  var python: String
}

/// Has a Django project send an event to Sluice and receive one from it, through the layer with the same alias.
struct DjangoTrial {
  let project: DjangoProject
  let layer: ChannelLayerConfiguration
  let redis: RedisLayerConfiguration
  /// The group that the project joins, and the token in the events.
  private let group = RedisTrial.freshName()
  private let token = RedisTrial.freshName()

  /// The prefix of the script's lines.
  private static let mark = "sluice-trial:"
  private static let longestOutput = 1 << 20

  /// - Parameter end: receives the project's event, and sends ours.
  func run(with end: RedisTrial) async -> [Finding] {
    do {
      let result = try await Subprocess.run(
        project.python.contains("/") ? .path(FilePath(project.python)) : .name(project.python),
        arguments: ["-c", Self.script, layer.alias, end.group, group, token],
        environment: .inherit.updating(["DJANGO_SETTINGS_MODULE": project.settings]),
        input: .none, output: .sequence, error: .string(limit: Self.longestOutput)
      ) { execution in
        var report: JSON = [:]
        for try await line in execution.standardOutput.strings() {
          guard line.hasPrefix(Self.mark) else { continue }
          let text = Array(line.dropFirst(Self.mark.count).utf8)
          guard let said = try? JSON.parse(text.rawBytes) else { continue }
          // Of two members the first one is found, so what was said last counts.
          report = said.with(report)
          // The project is a member of its group now.
          if said["settings"] != nil, let refused = end.send(token, to: group) {
            let failed: JSON = ["failure": .string(refused)]
            report = failed.with(report)
          }
        }
        return report
      }
      let lastLine = result.standardError.split(separator: "\n").last.map(String.init)
      return await judge(result.closureResult, end, lastLine ?? "\(project.python) printed nothing")
    } catch {
      return [
        finding("\"\(project.python)\" cannot be run: \(error)", hint: "name the project's own with --python")
      ]
    }
  }

  /// - Parameters:
  ///   - report: what the script has said: `failure`, `known` aliases, or `settings`, its `hosts` and whether it has `heard` us.
  ///   - end: heard the project's event.
  ///   - silence: why the script has not said anything.
  private func judge(_ report: JSON, _ end: RedisTrial, _ silence: String) async -> [Finding] {
    // Differences in the settings explain later failures.
    let differences = report["settings"].map(differences) ?? []
    guard differences.isEmpty else { return differences }
    let isSilent = report["known"] == nil && report["settings"] == nil
    if let failure = report["failure"]?.string ?? (isSilent ? silence : nil) {
      if let (text, hint) = missingSettings(failure) { return [finding(text, hint: hint)] }
      let isImport = failure.hasPrefix("ModuleNotFoundError") || failure.hasPrefix("ImproperlyConfigured")
      let hint = "run this in the project's folder, with the interpreter that has its packages: --python PATH"
      return [finding("Django: \(failure)", hint: isImport ? hint : nil)]
    }
    if case .array(let known)? = report["known"] {
      let aliases = known.compactMap(\.string).sorted().joined(separator: ", ")
      return [
        finding(
          "CHANNEL_LAYERS of \(project.settings) has no \"\(layer.alias)\"",
          hint: known.isEmpty ? "it is empty" : "it has \(aliases)")
      ]
    }
    let ours = redis.hosts.map(\.description).joined(separator: ", ")
    let hint = "Django reaches \(report["hosts"]?.string ?? ""), this file \(ours)"
    switch (await end.hears(token), report["heard"] == .bool(true)) {
    case (true, true): return []
    // Most often the two use different databases or servers.
    case (false, false):
      let text = "no event from Django reached Sluice, and none from Sluice reached Django"
      return [finding(text, at: "hosts", hint: hint)]
    case (false, true): return [finding("an event from Django did not reach Sluice", hint: hint)]
    case (true, false): return [finding("an event from Sluice did not reach Django", hint: hint)]
    }
  }

  /// What to say if the failure is that the settings module, or a package that it is in, does not exist.
  private func missingSettings(_ failure: String) -> (text: String, hint: String)? {
    let start = "ModuleNotFoundError: No module named '"
    guard failure.hasPrefix(start) else { return nil }
    let missing = String(failure.dropFirst(start.count).prefix { $0 != "'" })
    guard project.settings == missing || project.settings.hasPrefix(missing + ".") else { return nil }
    let parts = missing.split(separator: ".").map(String.init)
    let names = Disk().names(in: (["."] + parts.dropLast()).joined(separator: "/")).map { name in
      name.hasSuffix(".py") ? String(name.dropLast(3)) : name
    }
    let nearest = parts.last.flatMap { last in NearestName.of(last, in: names.filter { $0 != last }) }
    let rest = project.settings.dropFirst(missing.count)
    let hint = nearest.map { "did you mean \"\((parts.dropLast() + [$0]).joined(separator: "."))\(rest)\"?" }
    return (
      "there is no settings module \"\(project.settings)\" (\(failure))",
      hint ?? "run this in the project's folder, or name the module as in DJANGO_SETTINGS_MODULE"
    )
  }

  /// The settings that must be equal on both sides (channels_redis keeps them in `CONFIG`).
  private func differences(_ settings: JSON) -> [Finding] {
    func compare(_ key: String, _ ours: JSON) -> Finding? {
      guard let theirs = settings[key], theirs != ours else { return nil }
      return finding(
        "\(key) is \(theirs.text) in Django and \(ours.text) in this configuration",
        at: key == "number of hosts" ? "hosts" : key, hint: "make the two equal")
    }
    let backend = redis.layout == .core ? "RedisChannelLayer" : "RedisPubSubChannelLayer"
    var findings = [
      compare("backend", .string(backend)), compare("prefix", .string(redis.prefix)),
      compare("serializer_format", .string(redis.format.rawValue)),
      compare("number of hosts", .number(redis.hosts.count)),
      redis.layout == .core ? compare("random_prefix_length", .number(redis.randomPrefixLength)) : nil,
    ].compactMap(\.self)
    let digests = redis.encryptionKeys.map { JSON.string(Fernet.digest(of: $0)) }
    if let theirs = settings["keys"], theirs != .array(digests) {
      findings.append(
        finding(
          "symmetric_encryption_keys differ from those of Django", at: "symmetric_encryption_keys",
          hint: "list the same keys in the same order"))
    }
    return findings
  }

  /// - Parameter key: the key of the layer's `config` that the finding is about.
  private func finding(_ text: String, at key: String? = nil, hint: String? = nil) -> Finding {
    Finding(
      .error, .djangoDisagrees, "channel layer \"\(layer.alias)\": \(text)",
      at: key.flatMap { layer.places[$0] } ?? layer.range, hint: hint)
  }

  /// Arguments: alias, the group to send to, the group to join, the token.
  private static let script = """
    import asyncio, hashlib, json, sys, urllib.parse

    alias, theirs, ours, token = sys.argv[1:]

    def say(**values):
        print("\(mark)" + json.dumps(values), flush=True)

    def where(host):
        if isinstance(host, (list, tuple)):
            host = {"host": host[0], "port": host[1]}
        if isinstance(host, dict) and "sentinels" in host:
            return f'master "{host.get("master_name")}" of {len(host["sentinels"])} sentinels'
        if isinstance(host, dict) and "address" not in host:
            return f"redis://{host.get('host', 'localhost')}:{host.get('port', 6379)}/{host.get('db', 0)}"
        url = urllib.parse.urlsplit(host["address"] if isinstance(host, dict) else host)
        return f"{url.scheme}://{url.hostname or ''}:{url.port or 6379}/{url.path.strip('/') or 0}"

    async def talk(layer, settings):
        channel = await layer.new_channel()
        await layer.group_add(ours, channel)
        await layer.group_send(theirs, {"type": "\(RedisTrial.eventType)", "token": token})
        say(settings=settings)
        try:
            message = await asyncio.wait_for(layer.receive(channel), 4)
            say(heard=message.get("token") == token)
        except asyncio.TimeoutError:
            say(heard=False)
        await layer.group_discard(ours, channel)

    try:
        import django
        django.setup()
        from django.conf import settings
        from channels.layers import channel_layers

        layers = getattr(settings, "CHANNEL_LAYERS", {})
        if alias not in layers:
            say(known=list(layers))
        else:
            config = layers[alias].get("CONFIG", {})
            keys = config.get("symmetric_encryption_keys") or []
            say(hosts=", ".join(map(where, config.get("hosts") or [("localhost", 6379)])))
            digests = [hashlib.sha256(k.encode() if isinstance(k, str) else k).hexdigest() for k in keys]
            asyncio.run(talk(channel_layers[alias], {
                "backend": layers[alias]["BACKEND"].rsplit(".", 1)[-1],
                "prefix": config.get("prefix", "asgi"),
                "serializer_format": config.get("serializer_format", "msgpack"),
                "number of hosts": len(config.get("hosts") or [0]),
                "random_prefix_length": config.get("random_prefix_length", 12),
                "keys": digests,
            }))
    except Exception as error:
        say(failure=f"{type(error).__name__}: {error}")
    """
}
