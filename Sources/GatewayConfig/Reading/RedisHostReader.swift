import Bytes

/// Reads the entries of `hosts`, in every form that channels_redis takes.
struct RedisHostReader {
  let reading: Reading

  /// A URL, `[host, port]`, or a mapping with `address`, `host`, or `sentinels`.
  func read(_ node: Node) -> RedisHost? {
    switch node.content {
    case .scalar: readURL(node)
    case .mapping(let entries) where entries.count == 1 && ["env", "file"].contains(entries[0].key.value):
      readURL(node)
    case .sequence: readAddress(node).map { RedisHost(.tcp(host: $0.host, port: $0.port)) }
    case .mapping: readMapping(node)
    }
  }

  private func readAddress(_ node: Node) -> RedisHost.Address? {
    guard case .sequence(let pair) = node.content, pair.count == 2 else {
      return reading.refuse(
        .invalidValue, "expected a pair of host name and port", at: node.range, hint: "[localhost, 6379]")
    }
    let host = reading.word(pair[0], "a host")
    let port = reading.integer(pair[1], "a port", in: 1...65535)
    guard let host, let port else { return nil }
    return RedisHost.Address(host: host, port: port)
  }

  // MARK: - Mappings

  private func readMapping(_ node: Node) -> RedisHost? {
    guard let mapping = MappingCursor(node, .redisHost, reading) else { return nil }
    defer { mapping.finish() }
    guard var host = readPlace(mapping) else { return nil }
    host.database = mapping.integer("db") ?? host.database
    readCredentials(mapping, into: &host.credentials)
    host.connectTimeout = readTimes(mapping) ?? host.connectTimeout
    // Only an address with TLS has them.
    if host.isStandIn, Self.tlsKeys.contains(where: mapping.has) { host.tls = RedisHost.TLS() }
    readTLS(mapping, into: &host.tls)
    if case .unix = host.place, host.tls != nil {
      reading.findings.error(.conflictingKeys, "a Unix socket cannot use TLS", at: mapping.place)
    }
    return host
  }

  private static let connectionKeys = [
    "db", "username", "password", "socket_timeout", "socket_connect_timeout",
  ]
  private static let tlsKeys = [
    "ssl_cert_reqs", "ssl_check_hostname", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile",
  ]
  /// Settings of redis-py's own connections, which have no effect here.
  private static let clientKeys = Key.clientSettings.map(\.name)

  /// The value of a key; also nil if it is null, Python's `None`.
  private func value(_ key: String, of mapping: MappingCursor) -> Node? {
    guard let value = mapping.value(key) else { return nil }
    guard case .scalar(let scalar) = value.content, scalar.style == .plain, scalar.origin == nil else {
      return value
    }
    return ["null", "~", ""].contains(scalar.text) ? nil : value
  }

  private func readPlace(_ mapping: MappingCursor) -> RedisHost? {
    let address = mapping.value("address")
    let name = mapping.value("host")
    let port = mapping.entry("port")
    let number = port == nil ? 6379 : mapping.integer("port")
    let master = mapping.value("master_name")
    let sentinels = mapping.value("sentinels")
    let options = value("sentinel_kwargs", of: mapping)
    guard [address, name, sentinels].contains(where: { $0 != nil }) || master != nil else {
      return reading.refuse(
        .missingKey, "a Redis host needs \"address\", \"host\" or \"sentinels\"", at: mapping.place)
    }
    guard [address, name, sentinels ?? master].count(where: { $0 != nil }) == 1, port == nil || name != nil
    else {
      return reading.refuse(
        .conflictingKeys,
        "a Redis host is given by \"address\", by \"host\" and \"port\", or by \"sentinels\"",
        at: mapping.place, hint: "keep one of them")
    }
    if let address { return readURL(address) }
    if let name {
      guard let host = reading.word(name, "\"host\""), let number else { return nil }
      return RedisHost(.tcp(host: host, port: number))
    }
    guard let master, let sentinels else {
      return reading.refuse(
        .missingKey, "\"master_name\" and \"sentinels\" must be given together", at: mapping.place)
    }
    let addresses = (reading.list(sentinels, "\"sentinels\"") ?? []).compactMap(readAddress)
    guard let master = reading.word(master, "\"master_name\""), !addresses.isEmpty else { return nil }
    return RedisHost(.sentinel(master: master, readSentinels(addresses, options)))
  }

  private func readSentinels(_ addresses: [RedisHost.Address], _ options: Node?) -> RedisHost.Sentinels {
    var sentinels = RedisHost.Sentinels(addresses: addresses)
    guard let options, let mapping = MappingCursor(options, .sentinelOptions, reading) else {
      return sentinels
    }
    readCredentials(mapping, into: &sentinels.credentials)
    sentinels.connectTimeout = readTimes(mapping)
    readTLS(mapping, into: &sentinels.tls)
    mapping.finish()
    return sentinels
  }

  private func readCredentials(_ mapping: MappingCursor, into credentials: inout RedisHost.Credentials) {
    if let user = value("username", of: mapping) { credentials.username = reading.word(user, "\"username\"") }
    if let password = value("password", of: mapping) {
      credentials.password = reading.secretBytes(password, "\"password\"")
    }
  }

  /// Reads the timeouts. Sluice waits for Redis in its own way, so `socket_timeout` is accepted and ignored.
  ///
  /// - Returns: how long a connection may take to open.
  private func readTimes(_ mapping: MappingCursor) -> Duration? {
    func time(_ key: String) -> Duration? { value(key, of: mapping) == nil ? nil : mapping.duration(key) }
    _ = time("socket_timeout")
    return time("socket_connect_timeout")
  }

  private func readTLS(_ mapping: MappingCursor, into tls: inout RedisHost.TLS?) {
    if let value = value("ssl", of: mapping), let scalar = reading.scalar(value, "\"ssl\"") {
      if let isOn = truth(scalar.text, of: "ssl", at: value.range) {
        tls = isOn ? tls ?? RedisHost.TLS() : nil
      }
    }
    for key in Self.tlsKeys {
      guard let value = mapping.value(key), let scalar = reading.scalar(value, "\"\(key)\"") else { continue }
      guard tls != nil else {
        reading.findings.error(
          .conflictingKeys,
          "\"\(key)\" needs TLS: use an address that begins with \"rediss://\", or ssl: true",
          at: value.range)
        continue
      }
      set(key, to: scalar.text, of: &tls, at: value.range)
    }
  }

  private func set(_ key: String, to text: String, of tls: inout RedisHost.TLS?, at range: SourceRange) {
    switch key {
    case "ssl_cert_reqs":
      let verifies = truth(text, of: key, in: Self.certificateRequirements, or: "none or required", at: range)
      if let verifies { tls?.verifiesCertificate = verifies }
    case "ssl_check_hostname":
      if let verifies = truth(text, of: key, at: range) { tls?.verifiesHostname = verifies }
    case "ssl_ca_certs": tls?.trustedCertificates = readFile(text, at: range)
    case "ssl_certfile": tls?.certificate = readFile(text, at: range)
    default: tls?.privateKey = readFile(text, at: range)
    }
  }

  private func truth(
    _ text: String, of key: String, in known: [String: Bool] = Self.truth, or hint: String = "true or false",
    at range: SourceRange
  ) -> Bool? {
    known[text] ?? reading.refuse(.invalidValue, "\"\(key)\" cannot be \"\(text)\"", at: range, hint: hint)
  }

  private static let truth = ["true": true, "True": true, "false": false, "False": false]

  static let certificateRequirements = [
    // Python's None, as in the documentation of channels_redis, and YAML's null.
    "none": false, "None": false, "null": false, "~": false, "": false, "CERT_NONE": false, "required": true,
    "CERT_REQUIRED": true, "optional": true, "CERT_OPTIONAL": true,
  ]

  private func readFile(_ name: String, at range: SourceRange) -> String? {
    let file = reading.fileName(name, at: range)
    return reading.contents(of: file, as: .certificate, at: range).map { _ in
      reading.files.absolute(file.place)
    }
  }
}

// MARK: - URLs

extension RedisHostReader {
  /// `redis://[[user]:[password]@]host[:port][/db][?options]`, `rediss://` for TLS, `unix://[[user]:[password]@]/path[?db=0]`
  /// (redis-py, `ConnectionPool.from_url`).
  private func readURL(_ node: Node) -> RedisHost? {
    // What stands beside a variable that is not set may be a password.
    if node.isUnusable { reading.findings.hide(node.range) }
    // Text is not read as a word, whose findings repeat it.
    guard let text = url(node) else { return nil }
    if reading.secrets == .named, Secret(text).isStandIn { return RedisHost(.tcp(host: text, port: 6379)) }
    func fail(_ message: String, hint: String?) -> RedisHost? {
      reading.refuse(.invalidValue, message, at: node.range, hint: hint)
    }
    guard !text.isEmpty else { return fail("a host is empty", hint: nil) }
    let schemes = ["redis://", "rediss://", "unix://"]
    guard let scheme = schemes.first(where: text.hasPrefix) else {
      // The finding shows nothing of the value, because any part may be a password.
      return fail(
        "the value is not the address of a Redis server",
        hint: Reading.literalHint(node) ?? "write redis://host:6379/0, rediss:// for TLS, or unix:///path")
    }
    if scheme != "unix://", hasUnencodedPassword(text.dropFirst(scheme.count)) {
      reading.findings.hide(node.range)
      return fail(
        "the password of the address contains a \"/\" or a \"?\", which ends the name of the server",
        hint: "write %2F or %3F for it")
    }
    let (address, query) = text.dropFirst(scheme.count).cut(at: "?")
    let (authority, path) = address.cut(at: "/")
    let at = authority.lastIndex(of: "@")
    let place = at.map { authority[authority.index(after: $0)...] } ?? authority[...]
    guard var host = host(scheme, place, path, at: node.range) else { return nil }
    if let at { host.credentials = .init(userInfo: authority[..<at]) }
    readQuery(query, into: &host, at: node.range)
    if host.credentials.password != nil, case .scalar(let scalar) = node.content,
      scalar.origin?.isDefault ?? true
    {
      reading.findings.warning(
        .plainSecret, "a password is written into the configuration", at: node.range,
        hint: "take the address from the environment: ${REDIS_URL}")
    }
    return host
  }

  /// - Returns: nil if there is none. Must never be printed.
  private func url(_ node: Node) -> String? {
    guard node.entries == nil else { return reading.secret(node, "a host") }
    return reading.standIn(for: node)?.text ?? reading.scalar(node, "a host")?.text
  }

  /// Whether the password has a character that separates parts of a URL (RFC 3986 section 3.2.1): one before an "@", after
  /// something that is not a host and port.
  private func hasUnencodedPassword(_ rest: Substring) -> Bool {
    guard let at = rest.lastIndex(of: "@"), let separator = rest.firstIndex(where: { "/?".contains($0) }),
      separator < at, let colon = rest[..<separator].firstIndex(of: ":")
    else { return false }
    return !rest[..<separator].contains("@") && Int(rest[rest.index(after: colon)..<separator]) == nil
  }

  private func host(
    _ scheme: String, _ place: Substring, _ path: String?, at range: SourceRange
  ) -> RedisHost? {
    func fail(_ message: String) -> RedisHost? {
      reading.refuse(
        .invalidValue, message, at: range, hint: "redis://host:6379/0, rediss:// for TLS, or unix:///path")
    }
    if scheme == "unix://" {
      guard place.isEmpty, let path, !path.isEmpty else { return fail("the address has no socket path") }
      return RedisHost(.unix(path: "/" + path.percentDecoded))
    }
    var name = String(place)
    var port = 6379
    if let colon = place.lastIndex(of: ":"), !place[colon...].contains("]") {
      guard let number = Int(place[place.index(after: colon)...]), (1...65535).contains(number) else {
        return fail("the address needs a port from 1 to 65535 after the \":\"")
      }
      port = number
      name = String(place[..<colon])
    }
    if name.hasPrefix("["), name.hasSuffix("]") { name = String(name.dropFirst().dropLast()) }
    var host = RedisHost(.tcp(host: name.isEmpty ? "localhost" : name.percentDecoded, port: port))
    host.tls = scheme == "rediss://" ? RedisHost.TLS() : nil
    if let path, !path.isEmpty {
      guard let database = Int(path), (0...65535).contains(database) else {
        return fail("the path of the address must be the number of a database")
      }
      host.database = database
    }
    return host
  }

  private func readQuery(_ query: String?, into host: inout RedisHost, at range: SourceRange) {
    for option in NamedValue.parameters(of: query) {
      let key = String(option.name)
      let text = (option.value ?? "").percentDecoded
      switch key {
      case "db":
        guard let database = Int(text), (0...65535).contains(database) else {
          reading.findings.error(
            .invalidValue, "the option \"db\" of the address must be the number of a database", at: range,
            hint: "db=0")
          continue
        }
        host.database = database
      case "username": host.credentials.username = text
      case "password": host.credentials.password = Secret(text)
      case "socket_connect_timeout":
        guard let seconds = Double(text), (0.001...86400).contains(seconds) else {
          reading.findings.error(
            .invalidValue, "the option \"\(key)\" of the address must be a time in seconds", at: range)
          continue
        }
        host.connectTimeout = .seconds(seconds)
      case _ where Self.tlsKeys.contains(key) && host.tls != nil: set(key, to: text, of: &host.tls, at: range)
      case _ where key == "socket_timeout" || Self.clientKeys.contains(key): break
      default:
        // The text after a "?" in a password, up to the "@", is the rest of the password.
        let name = query?.contains("@") == true ? "" : " \"\(key)\""
        reading.findings.error(
          .unknownKey, "the address has an unknown option\(name)", at: range,
          hint: NearestName.hint(for: key, in: Self.connectionKeys + Self.tlsKeys))
      }
    }
  }
}

extension RedisHost.Credentials {
  /// What stands before the `@` of a URL: `user:password`.
  fileprivate init(userInfo: Substring) {
    let (user, password) = userInfo.cut(at: ":")
    username = user.isEmpty ? nil : user.percentDecoded
    self.password = (password?.percentDecoded).map { Secret($0) }
  }
}

extension StringProtocol {
  /// The text before the first separator, and the text after it; nil if there is no separator.
  fileprivate func cut(at separator: Character) -> (String, String?) {
    guard let place = firstIndex(of: separator) else { return (String(self), nil) }
    return (String(self[..<place]), String(self[index(after: place)...]))
  }

  /// As redis-py reads it: a `%` without two digits is kept.
  fileprivate var percentDecoded: String {
    String(decoding: PercentEncoding.decodeLeniently(utf8), as: UTF8.self)
  }
}
