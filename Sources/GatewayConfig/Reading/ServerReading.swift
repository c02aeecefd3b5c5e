import Bytes

extension ServerConfiguration {
  /// `server:`
  mutating func read(_ node: Node?, _ reading: Reading) {
    guard let node, let mapping = MappingCursor(node, .server, reading) else { return }
    let bindNode = mapping.value("bind")
    if let bindNode {
      let addresses = BindAddress.read(bindNode, into: &bindOptions, reading)
      if !addresses.isEmpty { bind = addresses }
    }
    if let value = mapping.value("tls") {
      tls = ServerTLSReader(reading: reading).read(value, into: &bindOptions)
      checkSecureAddresses(of: value, bind: bindNode, reading)
    }
    let addresses = bind + (tls?.bind ?? [])
    if let value = mapping.value("trusted_proxies") {
      trustedProxies = TrustedProxies(reading: value, reading)
      if trustedProxies.unix { checkUnixSocket(in: addresses, at: value, reading) }
    }
    let places = [bindNode, mapping.value("tls")].compactMap(\.self)
    for place in places { checkProxyProtocol(at: place, reading) }
    reading.ownAddresses = (bindNode == nil ? [] : bind) + (tls?.bind ?? [])
    if let place = places.first { checkRivals(among: addresses, at: place, reading) }
    if let value = mapping.value("admin") {
      admin = AdminAddress(reading: value, reading) ?? admin
      checkAdmin(among: addresses, at: value, reading)
    }
    threads = mapping.integer("threads")
    if let value = mapping.value("reuse_port") {
      reusesPort = mapping.truth("reuse_port") ?? false
      if reusesPort { checkReuse(of: addresses, at: value, reading) }
    }
    refusals = mapping.choice("refusals", of: RefusalForm.self) ?? refusals
    mapping.finish()
  }

  private func checkAdmin(among addresses: [BindAddress], at node: Node, _ reading: Reading) {
    guard let own = admin.bind, addresses.contains(own) else { return }
    reading.findings.error(
      .duplicateName, "\(own) is an address for clients as well", at: node.range,
      hint: "name another address, or leave \"admin\" out: commands find the gateway by its file")
  }

  /// Processes cannot share a Unix socket.
  private func checkReuse(of addresses: [BindAddress], at node: Node, _ reading: Reading) {
    guard !addresses.contains(where: { if case .tcp = $0 { true } else { false } }) else { return }
    reading.findings.warning(
      .conflictingKeys, "\"reuse_port\" has no effect: this server listens on no TCP address",
      at: node.range, hint: "remove it: Unix sockets cannot be shared")
  }

  /// Groups in the memory of each process are other groups.
  func checkShared(
    at value: Node?, _ served: ApplicationConfiguration, _ layers: [ChannelLayerConfiguration],
    _ reading: Reading
  ) {
    let memory = layers.filter { if case .memory = $0.backend { true } else { false } }.map(\.alias)
    guard reusesPort, let value, let layer = memory.first(where: served.channelLayers.contains) else {
      return
    }
    reading.findings.warning(
      .conflictingKeys,
      "processes that listen on the same addresses do not share the groups of the channel layer \"\(layer)\", which is in the memory of each",
      at: value.range,
      hint: "use a layer in Redis, or remove \"reuse_port\" where one process takes the place of another")
  }

  private func checkRivals(among addresses: [BindAddress], at node: Node, _ reading: Reading) {
    for address in addresses {
      guard let rival = address.rival(among: addresses) else { continue }
      reading.findings.error(
        .duplicateName, "\(rival) takes IPv4 clients too, those of \(address) among them", at: node.range,
        hint: "remove \(address), or write 0.0.0.0 in its place")
    }
  }

  /// `unix` means those who connect to a Unix socket of this server.
  private func checkUnixSocket(in addresses: [BindAddress], at node: Node, _ reading: Reading) {
    if addresses.contains(where: { if case .unix = $0 { true } else { false } }) { return }
    reading.findings.warning(
      .conflictingKeys, "\"trusted_proxies\" names \"unix\", and this server listens on no Unix socket",
      at: node.range, hint: "add an address such as unix:/run/sluice.sock to \"bind\", or remove \"unix\"")
  }

  /// Whoever sends the header is believed, unless `trusted_proxies` says who that may be.
  ///
  /// - Parameter node: `bind`, or a mapping that has one.
  private func checkProxyProtocol(at node: Node, _ reading: Reading) {
    for (address, place) in BindAddress.withProxyProtocol(in: node) {
      switch address {
      case .tcp(let host, _):
        // Only processes of this machine reach it, and so do the proxies that are there.
        let isLocal = host == "localhost" || IPAddress(host)?.isLoopback == true
        if trustedProxies.isEmpty, !isLocal {
          reading.findings.warning(
            .conflictingKeys,
            "everyone who can connect to \(address) can claim any client address, because there is no \"trusted_proxies\"",
            at: place, hint: "name the proxies that connect to it: trusted_proxies: [10.0.0.5]")
        } else if isLocal, !trustedProxies.isEmpty, !trustedProxies.hasLoopback {
          reading.findings.warning(
            .conflictingKeys,
            "only this machine can connect to \(address), and \"trusted_proxies\" does not name it: connections are refused",
            at: place, hint: "add 127.0.0.1 to \"trusted_proxies\"")
        }
      case .unix where !trustedProxies.isEmpty && !trustedProxies.unix:
        reading.findings.error(
          .conflictingKeys,
          "\"trusted_proxies\" does not name Unix sockets, so every connection to \(address) is refused",
          at: place, hint: "add \"unix\" to \"trusted_proxies\"")
      case .unix: break
      }
    }
  }

  /// With addresses of its own for TLS a server is plain only where `bind` says so.
  private mutating func checkSecureAddresses(of node: Node, bind bindNode: Node?, _ reading: Reading) {
    guard let secure = tls?.bind else { return }
    if bindNode == nil { bind = [] }
    for address in secure where bind.contains(address) {
      reading.findings.error(
        .duplicateName, "the address \(address) stands in \"bind\" and in \"tls\"", at: node.range,
        hint: "without a \"bind\" of its own, \"tls\" is for all addresses of the server")
    }
  }
}

extension BindAddress {
  /// One address or a list of them; each is a text, or a mapping with `address` and what is special about it.
  ///
  /// - Parameter options: gets what is said of an address.
  static func read(
    _ node: Node, into options: inout [BindAddress: BindOptions], _ reading: Reading
  ) -> [BindAddress] {
    if node.items.isEmpty {
      reading.findings.error(
        .invalidValue, "\"bind\" names no address", at: node.range, hint: "write 127.0.0.1:8000")
    }
    var addresses: [BindAddress] = []
    for item in node.items {
      guard let (found, special) = readItem(item, reading) else { continue }
      let address = found.value
      if addresses.contains(address) {
        reading.findings.error(.duplicateName, "the address \(address) stands here twice", at: found.range)
      }
      addresses.append(address)
      if let special { options[address] = special }
    }
    return addresses
  }

  /// - Returns: no options for an address that is written without any.
  private static func readItem(_ item: Node, _ reading: Reading) -> (Located<BindAddress>, BindOptions?)? {
    guard item.entries != nil else { return readAddress(item, reading).map { ($0, nil) } }
    guard let mapping = MappingCursor(item, .address, reading) else { return nil }
    let node = mapping.required("address", hint: "{address: \"0.0.0.0:8000\", proxy_protocol: true}")
    var options = BindOptions()
    options.read(mapping, reading)
    mapping.finish()
    guard let address = node.flatMap({ readAddress($0, reading) }) else { return nil }
    if case .tcp = address.value {
      for key in ["mode", "group"].compactMap({ mapping.entry($0)?.key }) {
        reading.findings.error(
          .conflictingKeys,
          "\"\(key.value)\" is for the file of a Unix socket, and \(address.value) has none", at: key.range,
          hint: "remove it")
      }
    }
    return (address, options)
  }

  private static func readAddress(_ node: Node, _ reading: Reading) -> Located<BindAddress>? {
    guard let scalar = reading.textScalar(node, "an address") else { return nil }
    if let fault = BindAddress.fault(of: scalar.text) {
      return reading.refuse(
        .invalidValue, fault + reading.origin(scalar), at: node.range, hint: "name a shorter one")
    }
    guard let address = BindAddress(scalar.text), !scalar.text.utf8.contains(UInt8(ascii: "|")) else {
      return reading.refuse(
        .invalidValue, "\"\(scalar.text)\" is not an address to listen on\(reading.origin(scalar))",
        at: node.range, hint: Reading.literalHint(scalar) ?? hint(for: scalar.text))
    }
    return Located(address, at: node.range)
  }

  /// The addresses that expect a header of the PROXY protocol, with the places of that key.
  ///
  /// - Parameter node: a value of `bind`, or a mapping that has one.
  static func withProxyProtocol(in node: Node) -> [(BindAddress, SourceRange)] {
    if case .sequence(let items) = node.content { return items.flatMap(withProxyProtocol) }
    if let bind = node.entry("bind") { return withProxyProtocol(in: bind.value) }
    guard let key = node.entry("proxy_protocol"), key.value.isWord("true"),
      case .scalar(let text)? = node.entry("address")?.value.content, !text.isUnusable,
      let address = BindAddress(text.text)
    else { return [] }
    return [(address, key.key.range)]
  }

  /// What to write for a text that is no address to listen on.
  package static func hint(for text: String) -> String {
    let port = text.hasPrefix(":") ? String(text.dropFirst()) : text
    if UInt16(port) != nil {
      return "write 127.0.0.1:\(port) for this machine only, or 0.0.0.0:\(port) for all"
    }
    if let colon = text.lastIndex(of: ":"),
      Int(text[text.index(after: colon)...]).map({ $0 > 65535 }) == true,
      BindAddress(text[...colon] + "1") != nil
    {
      return "a port is a number from 1 to 65535"
    }
    if text.hasPrefix("unix:"), let bar = text.firstIndex(of: "|") ?? text.firstIndex(of: ",") {
      return "write {address: \"\(text[..<bar])\", mode: \"0660\", group: www-data}"
    }
    if ["null", "~", "none", "false"].contains(text) {
      return "remove the key for the standard address, or write host:port, [v6]:port or unix:PATH"
    }
    var meant: [String] = []
    if text.hasPrefix("/") || text.hasPrefix("./") { meant.append("unix:\(text)") }
    for scheme in ["http://", "http+", "ws://"] where text.hasPrefix(scheme + "unix:") {
      meant.append(String(text.dropFirst(scheme.count)))
    }
    if !text.contains(":") { meant.append("\(text):8000") }
    if let meant = meant.first(where: { BindAddress($0) != nil }) { return "write \(meant)" }
    return "write host:port, [v6]:port or unix:PATH"
  }
}

extension BindOptions {
  fileprivate mutating func read(_ mapping: MappingCursor, _ reading: Reading) {
    proxyProtocol = mapping.truth("proxy_protocol") ?? false
    if let value = mapping.value("mode"), let scalar = reading.scalar(value, "\"mode\"") {
      // Without its quotes YAML readers may take it for another number.
      if scalar.style == .plain || !(3...4).contains(scalar.text.utf8.count)
        || !scalar.text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "7")).contains($0) })
      {
        reading.findings.error(
          .invalidValue,
          "\"mode\" is three or four octal digits in quotes, not \(scalar.text)\(reading.origin(scalar))",
          at: value.range,
          hint: "write \"0660\" for the user and the group, \"0666\" for everybody on this machine")
      } else if let bits = UInt32(scalar.text, radix: 8), bits <= 0o777, bits & 0o600 == 0o600 {
        mode = bits
      } else {
        reading.findings.error(
          .outOfRange, "\"mode\" is \"\(scalar.text)\"", at: value.range,
          hint: "it can be \"0600\" to \"0777\", and lets the user of this process read and write")
      }
    }
    if let value = mapping.value("group") {
      // The number of a group is no word.
      if case .scalar(let scalar) = value.content, !scalar.isUnusable, UInt32(scalar.text) != nil,
        !scalar.text.hasPrefix("+")
      {
        group = scalar.text
      } else {
        group = reading.word(value, "\"group\"")
      }
    }
  }
}

extension TrustedProxies {
  /// One address, one network, `unix`, or a list of them.
  init(reading node: Node, _ reading: Reading) {
    self.init()
    for item in node.items {
      guard let scalar = reading.scalar(item, "an entry of \"trusted_proxies\"") else { continue }
      guard scalar.text != "unix" else {
        unix = true
        continue
      }
      func fail(_ message: String, _ hint: String) {
        reading.findings.error(.invalidValue, message + reading.origin(scalar), at: item.range, hint: hint)
      }
      do throws(IPNetwork.Fault) {
        let network = try IPNetwork(scalar.text)
        if network.isEverything {
          fail(
            "\"\(scalar.text)\" is every address: any client could claim to be any other",
            "name the addresses or the network of the proxies only")
        } else {
          networks.append(network)
        }
      } catch {
        fail(error.message(scalar.text), error.hint)
      }
    }
  }
}

extension IPNetwork.Fault {
  fileprivate func message(_ text: String) -> String {
    switch self {
    case .notAnAddress: "\"\(text)\" is neither an IP address nor a network"
    case .badLength: "the number behind \"/\" in \"\(text)\" does not fit the address"
    case .bitsBehind: "\"\(text)\" has bits set behind those of the network"
    }
  }

  fileprivate var hint: String {
    switch self {
    case .notAnAddress: "write 10.0.0.5, 10.0.0.0/8, 2001:db8::/32 or unix"
    case .badLength: "0 to 32, or 0 to 128 for IPv6"
    case .bitsBehind(let network):
      network.isEverything ? "name the address or the network of the proxies only" : "write \(network)"
    }
  }
}

extension AddressLimits {
  /// `limits.per_ip`: `{connections:, handshakes:}`, or `none`.
  ///
  /// - Parameter all: `limits.connections`, where it is written.
  init(reading node: Node, of all: Int?, _ reading: Reading) {
    self.init()
    guard !node.isWord("none") else {
      connections = .unlimited
      return
    }
    let shape = "{connections: 100, handshakes: 20/s burst 100}"
    guard let mapping = MappingCursor(node, .perAddress, reading, shape: "\(shape) or none") else { return }
    if let value = mapping.value("connections") {
      if value.isWord("none") {
        connections = .unlimited
      } else if let most = mapping.integer("connections") {
        connections = .most(most)
        if let all, most > all {
          reading.findings.warning(
            .limitsDisagree,
            "one address may have \(most) connections, and all clients together only \(all) (\"limits.connections\")",
            at: value.range,
            hint: all > 1
              ? "write a number below \(all), so that one address cannot take every place"
              : "raise \"limits.connections\"")
        }
      }
    }
    if let value = mapping.value("handshakes"), !value.isWord("none") {
      handshakes = reading.rate(value, "\"handshakes\"")
    }
    mapping.finish()
  }
}

/// `limits:`, at any of its places.
enum LimitsReader {
  /// The server's limits: those of sessions, and those that only the process has.
  static func readTopLevel(
    _ node: Node?, into server: inout ServerConfiguration, _ reading: Reading
  ) -> SessionLimits {
    var limits = SessionLimits()
    guard let node, let mapping = MappingCursor(node, .limits, reading) else { return limits }
    server.connections = mapping.integer("connections")
    if let value = mapping.value("per_ip") {
      server.perAddress = AddressLimits(reading: value, of: server.connections, reading)
    }
    if let value = mapping.value("per_user") { server.perUser = UserLimits(reading: value, reading) }
    limits.userMessages = server.perUser.messages
    if let value = mapping.value("handshakes"), !value.isWord("none") {
      server.handshakes = reading.rate(value, "\"handshakes\"")
    }
    server.handshake = mapping.duration("handshake") ?? server.handshake
    server.keepAlive = mapping.duration("keep_alive") ?? server.keepAlive
    server.compressionMemory = mapping.byteCount("compression_memory") ?? server.compressionMemory
    server.historyMemory = mapping.byteCount("history_memory") ?? server.historyMemory
    server.bodyMemory = mapping.byteCount("body_memory") ?? server.bodyMemory
    readSession(mapping, into: &limits, reading)
    if let value = mapping.value("send_memory") {
      server.sendMemory = mapping.byteCount("send_memory")
      limits.sendMemory = server.sendMemory
      checkQueue(limits, at: value, reading)
    }
    if let value = mapping.value("receive_memory") {
      server.receiveMemory = mapping.byteCount("receive_memory")
      limits.receiveMemory = server.receiveMemory
      checkReceiving(limits, at: value, reading)
    }
    mapping.finish()
    return limits
  }

  /// A thread keeps up to half of the memory from the others, so a larger message may never be complete.
  private static func checkReceiving(_ limits: SessionLimits, at node: Node, _ reading: Reading) {
    guard let most = limits.receiveMemory, limits.message.bytes > most.bytes / 2 else { return }
    let outcome = limits.message > most ? "never arrives" : "may never arrive"
    reading.findings.warning(
      .limitsDisagree,
      "\"message\" is \(limits.message), and \"receive_memory\" only \(most) for all clients together: such a message \(outcome)",
      at: node.range,
      hint:
        "write receive_memory: \(ByteCount(bytes: limits.message.bytes * 2)) or more, or a smaller \"message\""
    )
  }

  /// What all bodies together may take has to hold one.
  ///
  /// - Parameter limits: at the top level of the file.
  static func checkBodies(
    _ limits: Node?, _ server: ServerConfiguration, _ routes: [HTTPRoute], _ reading: Reading
  ) {
    let bodies = routes.compactMap { if case .publish(let publish) = $0.action { publish.body } else { nil } }
    guard let node = limits?.entry("body_memory")?.value, let most = server.bodyMemory,
      let largest = bodies.max(), largest > most
    else { return }
    reading.findings.warning(
      .limitsDisagree,
      "\"body_memory\" is \(most), and one body of \"publish\" may have \(largest): Sluice uses more memory than \"body_memory\" says",
      at: node.range, hint: "raise \"body_memory\", or lower \"body\" of the publish route")
  }

  /// What one reader may have has to fit into what all of them may.
  private static func checkQueue(_ limits: SessionLimits, at node: Node, _ reading: Reading) {
    guard let most = limits.sendMemory, limits.sendQueue > most else { return }
    reading.findings.warning(
      .limitsDisagree,
      "\"send_queue\" (\(limits.sendQueue) for one client) is larger than \"send_memory\" (\(most) for all clients together)",
      at: node.range, hint: "raise \"send_memory\", or lower \"send_queue\"")
  }

  /// One message that is longer than a queue may be is taken where nothing waits; a second one closes the reader.
  private static func checkMessage(_ limits: SessionLimits, _ mapping: MappingCursor, _ reading: Reading) {
    guard limits.message > limits.sendQueue,
      let node = mapping.value("message") ?? mapping.value("send_queue")
    else { return }
    reading.findings.warning(
      .limitsDisagree,
      "\"message\" is \(limits.message), and \"send_queue\" only \(limits.sendQueue): of two such messages in a row the second "
        + "closes a client that has not read the first", at: node.range,
      hint: "write send_queue: \(limits.message) or more, or a smaller \"message\"")
  }

  /// The limits of an application or a route, on top of those around it.
  static func read(_ node: Node?, over outer: SessionLimits, _ reading: Reading) -> SessionLimits {
    var limits = outer
    guard let node, let mapping = MappingCursor(node, .sessionLimits, reading) else { return limits }
    reportGlobals(mapping)
    readSession(mapping, into: &limits, reading)
    mapping.finish()
    return limits
  }

  /// The limits of event streams, which have less to be limited.
  static func readForStreams(_ node: Node?, over outer: SessionLimits, _ reading: Reading) -> SessionLimits {
    var limits = outer
    guard let node, let mapping = MappingCursor(node, .streamLimits, reading) else { return limits }
    readQueue(mapping, into: &limits, reading)
    for (key, hint) in [
      ("message", "remove it: clients of an event stream send nothing"),
      ("ping", "write heartbeat under \"events\""),
      ("rate", "remove it: clients of an event stream send nothing"),
    ] {
      guard let entry = mapping.undeclared(key) else { continue }
      reading.findings.error(
        .unknownKey, "\"\(key)\" can only be used with websocket routes", at: entry.key.range, hint: hint)
    }
    reportGlobals(mapping)
    mapping.finish()
    return limits
  }

  /// The limits that stand at the top level only.
  private static let globals: [String] = {
    let sessions = Set(Key.at(.sessionLimits).map(\.name))
    return Key.at(.limits).map(\.name).filter { !sessions.contains($0) }
  }()

  private static func reportGlobals(_ mapping: MappingCursor) {
    for entry in globals.compactMap(mapping.undeclared) {
      mapping.reading.findings.error(
        .unknownKey, "\"\(entry.key.value)\" is a limit of the whole server", at: entry.key.range,
        hint: "move it to limits at the top level")
    }
  }

  private static func readSession(
    _ mapping: MappingCursor, into limits: inout SessionLimits, _ reading: Reading
  ) {
    if let value = mapping.value("message") {
      limits.message = mapping.byteCount("message") ?? limits.message
      checkReceiving(limits, at: value, reading)
    }
    readQueue(mapping, into: &limits, reading)
    if let value = mapping.value("rate") { limits.rate.read(value, reading) }
    if let value = mapping.value("ping") {
      readPing(value, in: mapping.range(of: "ping", \.times), into: &limits, reading)
    }
    checkMessage(limits, mapping, reading)
  }

  private static func readQueue(
    _ mapping: MappingCursor, into limits: inout SessionLimits, _ reading: Reading
  ) {
    guard let value = mapping.value("send_queue") else { return }
    limits.sendQueue = mapping.byteCount("send_queue") ?? limits.sendQueue
    checkQueue(limits, at: value, reading)
  }

  /// `none`, one time for both, or `{interval:, timeout:}`.
  private static func readPing(
    _ node: Node, in range: ClosedRange<Duration>, into limits: inout SessionLimits, _ reading: Reading
  ) {
    if case .scalar(let scalar) = node.content {
      if scalar.isUnusable { return }
      if scalar.text == "none" {
        limits.ping = nil
      } else if ["no", "off", "null", "~", "", "false", "0", "never"].contains(scalar.text.lowercased()) {
        reading.findings.error(
          .invalidValue, "expected a time for \"ping\", not \"\(scalar.text)\"", at: node.range,
          hint: "write \"ping: none\" to send no pings")
      } else if let time = reading.duration(node, "\"ping\"", in: range) {
        limits.ping = .init(interval: time, timeout: time)
      }
      return
    }
    guard let mapping = MappingCursor(node, .ping, reading) else { return }
    var ping = limits.ping ?? SessionLimits.KeepAlive()
    ping.interval = mapping.duration("interval") ?? ping.interval
    ping.timeout = mapping.duration("timeout") ?? ping.timeout
    mapping.finish()
    limits.ping = ping
  }
}

extension ShutdownConfiguration {
  /// `shutdown:`
  init(reading node: Node?, _ reading: Reading) {
    self.init()
    guard let node, let mapping = MappingCursor(node, .shutdown, reading) else { return }
    grace = mapping.duration("grace") ?? grace
    delay = mapping.duration("delay") ?? delay
    if let value = mapping.value("back") {
      if value.isWord("now") {
        back = .now
      } else if let time = mapping.duration("back") {
        back = .after(time)
      }
    }
    if let value = mapping.value("code"), let number = mapping.integer("code") {
      if number == 1001 || number == 1012 || number >= 3000 {
        code = UInt16(number)
      } else {
        reading.findings.error(
          .outOfRange, "\(number) is not a close code for a shutdown", at: value.range,
          hint: "use 1001 (going away), 1012 (restart), or a code of your own from 3000 to 4999")
      }
    }
    mapping.finish()
  }
}

extension LoggingConfiguration {
  /// `logging:`
  init(reading node: Node?, _ reading: Reading) {
    self.init()
    guard let node, let mapping = MappingCursor(node, .logging, reading) else { return }
    level = mapping.choice("level", of: Level.self) ?? level
    format = mapping.choice("format", of: Format.self) ?? format
    sessions = mapping.truth("sessions") ?? sessions
    if sessions, level != .debug, level != .info, let value = mapping.value("sessions") {
      reading.findings.warning(
        .conflictingKeys,
        "the lines of \"sessions\" are of the level info, and \"level\" is \(level.rawValue)",
        at: value.range, hint: "write level: info")
    }
    mapping.finish()
  }
}
