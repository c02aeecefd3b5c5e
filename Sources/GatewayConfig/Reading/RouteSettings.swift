/// The settings that routes inherit from the mappings around them.
struct RouteSettings {
  var origins = OriginPolicy.sameHost
  var limits = SessionLimits()
  var compression: CompressionConfiguration?
  var refusals = RefusalForm.http
  var auth = AuthSettings()

  /// Whether clients have to authenticate.
  var requiresAuthentication: Bool { auth.auth != nil || auth.isUnknown }

  /// Those of the sessions of a route. Where nobody is known, no user's messages are counted, and none takes longer for it.
  var limitsOfSession: SessionLimits {
    var limits = limits
    if !requiresAuthentication { limits.userMessages = nil }
    return limits
  }

  /// Reads the `auth`, `allowed_hosts`, `limits`, `compression` and `refusals` that hold for the routes of a mapping.
  mutating func read(_ mapping: MappingCursor, _ kind: RouteKind) {
    auth.read(mapping)
    let reading = mapping.reading
    switch kind {
    case .webSocket:
      readHosts(mapping)
      limits = LimitsReader.read(mapping.value("limits"), over: limits, reading)
      compression = CompressionReader.read(mapping.value("compression"), over: compression, reading)
      refusals = mapping.choice("refusals", of: RefusalForm.self) ?? refusals
    case .http:
      // Among HTTP routes only those with `events` have them, and those with `publish` have `allowed_hosts`. They may also be set
      // for several such routes together.
      let isAround = ["routes", "include"].contains(where: mapping.has)
      if isAround || ["events", "publish"].contains(where: mapping.has) { readHosts(mapping) }
      guard isAround || mapping.has("events") else { return }
      limits = LimitsReader.readForStreams(mapping.value("limits"), over: limits, reading)
    }
  }

  private mutating func readHosts(_ mapping: MappingCursor) {
    let reading = mapping.reading
    guard let node = mapping.value("allowed_hosts"), let hosts = reading.words(node, "\"allowed_hosts\"")
    else { return }
    if hosts.isEmpty {
      reading.findings.error(
        .invalidValue, "\"allowed_hosts\" is empty, so no client could connect", at: node.range,
        hint: "name the hosts, or remove the key: then a page must come from the same host")
    }
    for host in hosts {
      guard let fault = OriginPolicy.fault(of: host.value) else { continue }
      reading.findings.error(
        .invalidValue, "\"\(host.value)\": \(fault.message)", at: host.range, hint: fault.hint)
    }
    origins = .patterns(hosts.map { $0.value.lowercased() })
  }
}
