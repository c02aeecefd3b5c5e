import Routing

/// Reads the entries of `auth:` at the top level.
struct AuthenticatorReader {
  let reading: Reading
  /// How long authentication may take: `limits.handshake`.
  let handshake: Duration

  /// The word that turns `auth` off at a route, and so cannot be a name.
  static let noAuthenticator = "none"

  /// - Returns: the authenticators that can be used, and what the users of all are called that say it.
  func read(_ node: Node?) -> (authenticators: [AuthenticatorConfiguration], userTypes: [String: UserType]) {
    guard let node, let mapping = MappingCursor(node, "\"auth\"", reading) else { return ([], [:]) }
    var userTypes: [String: UserType] = [:]
    let authenticators = Self.entries.read(mapping) { read($0, &userTypes[$0.key.value]) }
    return (authenticators, userTypes)
  }

  static let entries = NamedEntries(
    "an authenticator", named: "users", example: "auth: {users: {jwt: ...}}",
    with: Key.names(at: .authenticator))

  private func read(_ entry: Node.Entry, _ userType: inout UserType?) -> AuthenticatorConfiguration? {
    let name = entry.key.value
    if name == Self.noAuthenticator || name.isEmpty {
      reading.findings.error(
        .invalidValue, "\"\(name)\" is not a valid name for an authenticator", at: entry.key.range,
        hint: name.isEmpty ? nil : "\"auth: none\" at a route means that it has no authenticator")
    }
    let what = "the authenticator \"\(name)\""
    guard let mapping = MappingCursor(entry.value, .authenticator, reading, what: what) else { return nil }
    let jwt = mapping.entry("jwt")
    let callback = mapping.entry("callback")
    // The keys below it are remembered first, so that one that is indented too little finds its place.
    defer { mapping.finish() }
    if let jwt, let callback {
      reading.findings.error(
        .conflictingKeys, "an authenticator is \"jwt\" or \"callback\", not both", at: callback.key.range,
        hint: "make two of them", related: [.init("the other one", at: jwt.key.range)])
    }
    var kind = jwt.flatMap { readJWT($0.value, &userType) }.map(AuthenticatorConfiguration.Kind.jwt)
    if let callback { kind = readCallback(callback.value, &userType).map { .callback($0) } }
    if jwt == nil, callback == nil, !mapping.isNearAlternative {
      reading.findings.error(
        .missingKey, "\(what) needs \"jwt\" or \"callback\"", at: mapping.place,
        hint: "add jwt: {secret: {env: NAME}}, or callback: {url: URL}")
    }
    return kind.map { AuthenticatorConfiguration(name: name, kind: $0, range: entry.key.range) }
  }

  // MARK: - Tokens

  private func readJWT(_ node: Node, _ userType: inout UserType?) -> JWTConfiguration? {
    let shape = "jwt: {secret: {env: NAME}}"
    guard let mapping = MappingCursor(node, .jwt, reading, shape: shape) else { return nil }
    let algorithms = mapping.value("algorithms").map(readAlgorithms)
    let keys = readKeys(mapping, algorithms.flatMap(\.self))
    var jwt = keys.map { JWTConfiguration(keys: $0, algorithms: algorithms?.map(\.value)) }
    if let value = mapping.value("audience") { jwt?.audiences = readNames(value, "\"audience\"") }
    if let value = mapping.value("issuer") { jwt?.issuers = readNames(value, "\"issuer\"") }
    if let time = mapping.duration("leeway") { jwt?.leeway = time }
    if let user = mapping.value("user").flatMap({ readUser($0, example: "user_id") }) {
      jwt?.user = user.name
      jwt?.userType = user.type
      userType = user.type
    }
    if let sources = mapping.value("from").flatMap({ readSources($0) }) { jwt?.sources = sources }
    if let schemes = mapping.value("schemes").map(readSchemes), !schemes.isEmpty { jwt?.schemes = schemes }
    let expiry = mapping.choice("expiry", of: TokenExpiry.self) ?? .close
    jwt?.expiry = expiry
    jwt?.maxAge = readMaxAge(mapping, beside: expiry)
    mapping.finish()
    return jwt
  }

  private func readMaxAge(_ mapping: MappingCursor, beside expiry: TokenExpiry) -> Duration? {
    guard let entry = mapping.entry("max_age") else { return nil }
    if expiry != .keep {
      reading.findings.error(
        .conflictingKeys,
        "\"max_age\" is for \"expiry: keep\": with \"\(expiry.rawValue)\", a session ends with its token",
        at: entry.key.range, hint: "write expiry: keep, or remove \"max_age\"")
    }
    return mapping.duration("max_age")
  }

  private func readAlgorithms(_ node: Node) -> [Located<SignatureAlgorithm>] {
    guard let items = reading.list(node, "\"algorithms\"") else { return [] }
    if items.isEmpty {
      reading.findings.error(
        .invalidValue, "\"algorithms\" is empty", at: node.range, hint: "name one, or leave it out")
    }
    var known: [Located<SignatureAlgorithm>] = []
    for item in items {
      if case .scalar(let scalar) = item.content, scalar.text.lowercased() == "none" {
        reading.findings.error(
          .invalidValue, "\"none\" is not a signature: anyone can make an unsigned token", at: item.range,
          hint: "remove it")
        continue
      }
      guard let algorithm = readAlgorithm(item) else { continue }
      if let first = known.first, (first.value.keyKind == .secret) != (algorithm.keyKind == .secret) {
        reading.findings.error(
          .conflictingKeys, "\(algorithm.rawValue) and \(first.value.rawValue) cannot use the same key",
          at: item.range, hint: "define two authenticators")
      }
      known.append(Located(algorithm, at: item.range))
    }
    return known
  }

  private func readAlgorithm(_ node: Node) -> SignatureAlgorithm? {
    if case .scalar(let scalar) = node.content, let algorithm = SignatureAlgorithm(named: scalar.text) {
      return algorithm
    }
    return reading.choice(node, "an algorithm", of: SignatureAlgorithm.self)
  }

  private func readNames(_ node: Node, _ what: String) -> [String] {
    guard case .sequence(let items) = node.content else { return reading.word(node, what).map { [$0] } ?? [] }
    if items.isEmpty { reading.findings.error(.invalidValue, "\(what) is empty", at: node.range) }
    return reading.words(node, what)?.map(\.value) ?? []
  }

  /// The schemes of `Authorization`, each once.
  private func readSchemes(_ node: Node) -> [String] {
    guard let items = reading.list(node, "\"schemes\"") else { return [] }
    if items.isEmpty {
      reading.findings.error(
        .invalidValue, "\"schemes\" is empty", at: node.range, hint: "remove it for [Bearer]")
    }
    var schemes: [String] = []
    for item in items {
      guard let scheme = readScheme(item) else { continue }
      if schemes.contains(where: { $0.lowercased() == scheme.lowercased() }) {
        reading.findings.error(
          .duplicateName, "the scheme \"\(scheme)\" is listed twice", at: item.range,
          hint: "remove one: upper and lower case are the same")
      }
      schemes.append(scheme)
    }
    return schemes
  }

  /// RFC 9110 section 11.1: a token.
  private func readScheme(_ node: Node) -> String? {
    guard let scheme = reading.word(node, "a scheme") else { return nil }
    guard scheme.isHTTPToken else {
      return reading.refuse(
        .invalidValue, "\"\(scheme)\" is not a scheme of \"Authorization\"", at: node.range,
        hint: "write one word without a colon: Token")
    }
    return scheme
  }

  /// - Parameter words: the places that need no name and are possible here.
  private func readSources(
    _ node: Node, among words: [PlainSource] = PlainSource.allCases,
    hint: String = "remove it for [header, subprotocol]"
  ) -> [TokenSource]? {
    guard let items = reading.list(node, "\"from\"") else { return nil }
    if items.isEmpty {
      reading.findings.error(
        .invalidValue, "\"from\" is empty, so a client has no place for its token", at: node.range,
        hint: hint)
    }
    var sources: [TokenSource] = []
    for item in items {
      guard let source = readSource(item, among: words) else { continue }
      if sources.contains(source) {
        reading.findings.error(
          .duplicateName, "this entry is listed twice", at: item.range, hint: "remove one")
      }
      sources.append(source)
    }
    return sources
  }

  /// The places of a token that need no name.
  enum PlainSource: String, CaseIterable {
    case header, subprotocol, message
  }

  private func readSource(_ node: Node, among words: [PlainSource]) -> TokenSource? {
    if case .scalar(let scalar) = node.content {
      if scalar.text == "cookie" || scalar.text == "query" {
        return reading.refuse(
          .invalidValue, "\"\(scalar.text)\" needs a name", at: node.range,
          hint: "write {\(scalar.text): token}")
      }
      return readPlainSource(node, scalar.text, among: words)
    }
    guard let mapping = MappingCursor(node, .tokenSource, reading) else { return nil }
    let cookie = mapping.value("cookie")
    let query = mapping.value("query")
    mapping.finish()
    let areKnown = mapping.keys.allSatisfy { ["cookie", "query"].contains($0.value) }
    if (cookie == nil) == (query == nil), areKnown {
      return reading.refuse(
        .conflictingKeys, "expected a cookie or a query parameter for an entry of \"from\"",
        at: mapping.place, hint: "write {cookie: NAME} or {query: NAME}")
    }
    guard let value = cookie ?? query, let name = reading.word(value, "the name of a token") else {
      return nil
    }
    guard name.isHTTPToken, !name.contains("&"), !name.contains("%"), !name.contains("+") else {
      return reading.refuse(
        .invalidValue, "\"\(name)\" is not a valid name for a cookie or a query parameter", at: value.range,
        hint: "letters, digits, \"-\" and \"_\"")
    }
    return cookie != nil ? .cookie(name) : .query(name)
  }

  private func readPlainSource(_ node: Node, _ text: String, among words: [PlainSource]) -> TokenSource? {
    guard reading.scalar(node, "an entry of \"from\"") != nil else { return nil }
    let names = words.map(\.rawValue)
    if PlainSource(rawValue: text) == nil {
      reading.findings.error(
        .invalidValue, "\"\(text)\" is not a value for an entry of \"from\"", at: node.range,
        hint: NearestName.of(text, in: names).map { "did you mean \"\($0)\"?" }
          ?? "write \(names.joined(separator: ", ")), {cookie: NAME} or {query: NAME}")
    }
    return switch PlainSource(rawValue: text) ?? NearestName.of(text, in: names).flatMap(PlainSource.init) {
    case .header: .header
    case .subprotocol: .subprotocol
    case .message: .message
    case nil: nil
    }
  }

  // MARK: - Keys

  private typealias Algorithms = [Located<SignatureAlgorithm>]

  private func readKeys(_ mapping: MappingCursor, _ algorithms: Algorithms?) -> JWTConfiguration.Keys? {
    let secret = mapping.entry("secret")
    let publicKey = mapping.entry("public_key")
    let set = mapping.entry("jwks")
    let refresh = mapping.entry("refresh")
    let tls = mapping.entry("tls")
    let given = [secret, publicKey, set].compactMap(\.self)
    if given.count > 1 {
      reading.findings.error(
        .conflictingKeys, "\"jwt\" takes only one of \"secret\", \"public_key\" and \"jwks\"",
        at: given[1].key.range, related: [.init("the other one", at: given[0].key.range)])
    } else if given.isEmpty, !mapping.isNearAlternative {
      reading.findings.error(
        .missingKey, "\"jwt\" needs a key to verify tokens with", at: mapping.place,
        hint: "secret: {env: NAME}, public_key: {file: PATH} or jwks: URL")
    }
    for entry in [refresh, tls].compactMap(\.self) where set == nil {
      reading.findings.error(
        .conflictingKeys, "\"\(entry.key.value)\" can only be used with \"jwks\"", at: entry.key.range,
        hint: "remove it")
    }
    if let secret { return readSecret(secret.value, algorithms) }
    if let publicKey { return readPublicKey(publicKey.value, algorithms) }
    guard let set else { return nil }
    checkKinds(algorithms, [.rsa, .p256, .p384, .p521, .ed25519], "the keys of a set are public")
    let time = mapping.duration("refresh") ?? .seconds(600)
    return readSet(set.value, tls: tls, algorithms).map { .set($0, refresh: time) }
  }

  /// - Parameter sentence: why an algorithm for another kind of key cannot be used.
  private func checkKinds(_ algorithms: Algorithms?, _ kinds: [KeyKind], _ sentence: String) {
    for algorithm in algorithms ?? [] where !kinds.contains(algorithm.value.keyKind) {
      let fitting = SignatureAlgorithm.allCases.filter { kinds.contains($0.keyKind) }
      reading.findings.error(
        .conflictingKeys, "\(algorithm.value.rawValue) cannot be used: \(sentence)", at: algorithm.range,
        hint: "it can be \(fitting.map(\.rawValue).joined(separator: ", "))")
    }
  }

  private func readSecret(_ node: Node, _ algorithms: Algorithms?) -> JWTConfiguration.Keys? {
    checkKinds(algorithms, [.secret], "the key is a shared secret")
    guard let written = reading.secretBytes(node, "\"secret\""), reading.isKey(written, at: node.range) else {
      return nil
    }
    let secret = written.bytes
    if String(decoding: secret, as: UTF8.self).contains("-----BEGIN ") {
      return reading.refuse(
        .invalidKey, "\"secret\" contains a key in PEM format, not a shared secret", at: node.range,
        hint: "write public_key: {file: PATH}")
    }
    let used = algorithms?.map(\.value) ?? [KeyKind.secret.standardAlgorithm]
    if let least = used.compactMap(\.leastSecret).max(), secret.count < least {
      reading.findings.warning(
        .weakSecret, "the secret has \(secret.count) bytes, which is short enough to be guessed",
        at: node.range,
        hint:
          "\(used.map(\.rawValue).joined(separator: ", ")): use at least \(least) bytes (RFC 7518 section 3.2)"
      )
    }
    return .key(.secret(secret))
  }

  private func readPublicKey(_ node: Node, _ algorithms: Algorithms?) -> JWTConfiguration.Keys? {
    guard let text = keyText(node) else { return nil }
    do {
      let key = try VerificationKey(pem: text)
      checkKinds(algorithms, [key.kind], "the key is \(key.kind.name)")
      return .key(key)
    } catch {
      return reading.refuse(.invalidKey, error.message, at: node.range, hint: error.hint)
    }
  }

  /// Reads a public key. It is not secret, so it may be in the configuration file; `{file: PATH}` or a bare PATH reads it from
  /// another file.
  private func keyText(_ node: Node) -> String? {
    guard case .scalar(let scalar) = node.content else { return reading.pem(node, "\"public_key\"") }
    guard !scalar.isUnusable else { return nil }
    guard !scalar.text.contains("-----BEGIN") else { return scalar.text }
    guard let name = reading.fileName(node, "\"public_key\"") else { return nil }
    return reading.contents(of: name, as: .keys, at: node.range).map { String(decoding: $0, as: UTF8.self) }
  }

  private func readSet(
    _ node: Node, tls: Node.Entry?, _ algorithms: Algorithms?
  ) -> JWTConfiguration.KeySetPlace? {
    // A URL is no name of a file, which would be that of another one in an included file.
    if case .scalar(let scalar) = node.content, !scalar.isUnusable, scalar.text.contains("://") {
      return readURL(node, tls: tls?.value).map { .url($0) }
    }
    guard let name = reading.fileName(node, "\"jwks\"") else { return nil }
    if let tls {
      reading.findings.error(
        .conflictingKeys, "\"tls\" can only be used with a key set that is fetched by URL", at: tls.key.range,
        hint: "remove it")
    }
    guard let set = reading.contents(of: name, as: .keys, at: node.range) else { return nil }
    do {
      _ = try VerificationKeySet(set, allowed: algorithms?.map(\.value))
      return .file(reading.files.absolute(name.place))
    } catch {
      return reading.refuse(
        .invalidKey, "\(name.shown) cannot be used: \(error.message)", at: node.range, hint: error.hint)
    }
  }

  /// Reads a URL without placeholders.
  private func readURL(_ node: Node, tls: Node?) -> UpstreamConfiguration? {
    let reader = UpstreamReader(reading: reading, captures: [], use: .question)
    if let text = reading.word(node, "a URL"), text.contains("?") {
      return reading.refuse(
        .invalidValue, "this URL cannot have a query", at: node.range, hint: "remove what follows the \"?\"")
    }
    var url = reader.readAddress(node, [.http, .https])
    reader.readTrust(tls, of: &url)
    return url
  }

  // MARK: - Call-backs

  private func readCallback(_ node: Node, _ userType: inout UserType?) -> CallbackConfiguration? {
    let shape = "callback: {url: URL}"
    guard let mapping = MappingCursor(node, .callback, reading, shape: shape) else { return nil }
    let from = mapping.entry("from")
    let sources = from.flatMap {
      readSources($0.value, among: [.header, .subprotocol], hint: "remove it, or write [header]")
    }
    let reader = QuestionReader(reading: reading, handshake: handshake)
    let standard =
      from == nil ? CallbackConfiguration.standardHeaders : CallbackConfiguration.headersBesideToken
    let question = reader.read(
      mapping, example: "url: http://127.0.0.1:8001/api/me/", headers: standard, hasToken: from != nil)
    var callback = question.map { CallbackConfiguration(question: $0) }
    if let sources { callback?.sources = sources }
    if let scheme = mapping.entry("scheme") {
      if from == nil {
        reading.findings.error(
          .conflictingKeys, "\"scheme\" can only be used with \"from\"", at: scheme.key.range,
          hint: "add from: [header], or remove it: then \"Authorization\" is passed on as it is")
      }
      if let name = readScheme(scheme.value) { callback?.scheme = name }
    }
    for source in from?.value.items ?? [] where source.isWord(PlainSource.message.rawValue) {
      reading.findings.error(
        .conflictingKeys, "\"message\" can only be used with \"jwt\"", at: source.range,
        hint:
          "the view is asked before the client is accepted: write header, subprotocol, {cookie: NAME} or {query: NAME}"
      )
    }
    if let user = mapping.value("user").flatMap({ readUser($0, example: "id") }) {
      callback?.user = user.name
      callback?.userType = user.type
      userType = user.type
    }
    mapping.finish()
    return callback
  }

  /// A name, or `{claim: NAME, as: TYPE}`.
  ///
  /// - Parameter example: the name that most likely is meant.
  private func readUser(_ node: Node, example: String) -> (name: String?, type: UserType?)? {
    guard case .mapping = node.content else { return reading.word(node, "\"user\"").map { ($0, nil) } }
    guard let mapping = MappingCursor(node, .userClaim, reading) else { return nil }
    let user = (mapping.word("claim"), mapping.choice("as", of: UserType.self))
    mapping.finish()
    if mapping.entries.isEmpty {
      reading.findings.error(
        .invalidValue, "\"user\" says nothing", at: node.range, hint: "write {claim: \(example), as: int}")
    }
    return user
  }
}
