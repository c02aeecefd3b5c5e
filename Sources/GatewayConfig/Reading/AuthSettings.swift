import JSON
import Routing

/// The `auth:`, `auth_optional:`, `require:` and `permission:` that hold for a route, and the names that they may use.
struct AuthSettings {
  /// The authenticators of the file, including those that could not be read.
  var names: [String] = []
  /// Whether `names` holds all of them. Otherwise a name that is missing has been reported.
  var areNamesKnown = true
  /// The authenticators that could be read. A route that names another one is only checked.
  var authenticators: [AuthenticatorConfiguration] = []
  /// What users are called, by the authenticator, also of those that could not be read: a secret that is missing here does not change
  /// who can be in which group.
  var userTypes: [String: UserType] = [:]
  /// `limits.handshake`
  var handshake: Duration = .seconds(10)
  /// The authentication that holds here; nil if there is none.
  private(set) var auth: RouteAuth?
  /// Whether `auth` names an authenticator that does not exist, so that the clients are not known.
  private(set) var isUnknown = false
  /// What is asked about a client beside `auth`, wherever there is one; nil for nothing. At the place of its key.
  private(set) var permission: Located<PermissionConfiguration>?
  /// The place of `auth`.
  private(set) var place: SourceRange?
  /// The captures that `require` names, by the key of the requirement.
  private var captures: [String: [Located<String>]] = [:]
  /// Whether `auth` is in the mapping that was read last, and not in one around it.
  private var isOwn = false

  mutating func read(_ mapping: MappingCursor) {
    let reading = mapping.reading
    let name = mapping.entry("auth")
    let optional = mapping.entry("auth_optional")
    let required = mapping.entry("require")
    let asked = mapping.entry("permission")
    isOwn = name != nil
    if let name {
      let outer = auth
      auth = nil
      place = name.key.range
      isUnknown = !readName(name.value, reading)
      // Claims of another authenticator are different claims. Naming the same authenticator again keeps the requirements.
      if let outer, auth?.authenticator == outer.authenticator {
        auth?.requirements = outer.requirements
      } else {
        captures = [:]
      }
    }
    if let asked { readPermission(asked, reading) }
    // `permission: none` also stands where there is no `auth`.
    let asking = permission == nil ? nil : asked
    for entry in [optional, required, asking].compactMap(\.self) where auth == nil && !isUnknown {
      reading.findings.error(
        .conflictingKeys, "\"\(entry.key.value)\" needs \"auth\": without it every client is anonymous",
        at: entry.key.range, hint: hintToAuthenticate)
    }
    if let optional { auth?.isOptional = reading.truth(optional.value, "\"auth_optional\"") ?? false }
    if let required { readRequirements(required, reading) }
    guard let auth, auth.isOptional, !auth.requirements.isEmpty, let entry = optional ?? required else {
      return
    }
    reading.findings.error(
      .conflictingKeys, "\"require\" needs a token, and \"auth_optional\" lets in clients without one",
      at: entry.key.range, hint: "remove \"auth_optional\" or \"require\"")
  }

  /// Requirements of the mappings around this one hold here too, unless they are given anew.
  private mutating func readRequirements(_ entry: Node.Entry, _ reading: Reading) {
    let read = RequirementReader(reading: reading).read(entry.value)
    for requirement in read.requirements {
      auth?.requirements.removeAll { $0.key == requirement.key }
      auth?.requirements.append(requirement)
    }
    captures.merge(read.captures) { $1 }
  }

  /// Reads a question, or `none`, which takes back that of a mapping around this one.
  private mutating func readPermission(_ entry: Node.Entry, _ reading: Reading) {
    permission = nil
    if case .scalar(let scalar) = entry.value.content, scalar.text == AuthenticatorReader.noAuthenticator {
      return
    }
    let shape = "permission: {url: URL}, or permission: none"
    guard let mapping = MappingCursor(entry.value, .permission, reading, shape: shape) else { return }
    let question = QuestionReader(reading: reading, handshake: handshake).read(
      mapping, example: "url: http://127.0.0.1:8001/api/rooms/{room}/may/", headers: [], hasToken: false)
    let claims = mapping.value("claims").flatMap { reading.words($0, "\"claims\"") }?.map(\.value)
    mapping.finish()
    permission = question.map {
      Located(PermissionConfiguration(question: $0, claims: claims), at: entry.key.range)
    }
  }

  private var hintToAuthenticate: String {
    names.first.map { "add auth: \($0)" }
      ?? "define an authenticator under \"auth\" at the top level, and name it here"
  }

  /// - Returns: false if there is no such authenticator.
  private mutating func readName(_ node: Node, _ reading: Reading) -> Bool {
    switch node.content {
    case .mapping:
      reading.findings.error(
        .wrongType, "expected the name of an authenticator for \"auth\", found a mapping", at: node.range,
        hint: "define it under \"auth\" at the top level, and write its name here")
      return false
    case .sequence:
      reading.findings.error(
        .wrongType, "expected the name of one authenticator for \"auth\", found a list", at: node.range,
        hint: "name one; clients of another authenticator need a route of their own")
      return false
    case .scalar(let scalar):
      let truths = ["true": true, "yes": true, "on": true, "false": false, "no": false, "off": false]
      guard scalar.style == .plain, let truth = truths[scalar.text.lowercased()] else { break }
      let known = names.first.map { "write auth: \($0)" } ?? "define one under \"auth\" at the top level"
      reading.findings.error(
        .wrongType, "expected the name of an authenticator for \"auth\", not \(scalar.text)", at: node.range,
        hint: truth ? known : "write auth: none for a route that has no authenticator")
      return false
    }
    guard let name = reading.word(node, "\"auth\"") else { return false }
    if name == AuthenticatorReader.noAuthenticator { return true }
    guard let index = names.firstIndex(of: name) else {
      guard areNamesKnown else { return false }
      reading.findings.error(
        .unknownName, "there is no authenticator \"\(name)\"", at: node.range,
        hint: names.isEmpty
          ? "define it: auth: {\(name): {jwt: {secret: {env: NAME}}}}"
          : NearestName.hint(for: name, in: names))
      return false
    }
    auth = RouteAuth(authenticator: index, name: name, userType: userTypes[name])
    return true
  }

  /// Reports captures of `require` that a route does not have.
  ///
  /// - Parameters:
  ///   - known: the captures of the route.
  ///   - route: its place.
  func checkCaptures(among known: [String], at route: SourceRange, _ reading: Reading) {
    guard let auth else { return }
    let named = auth.requirements.flatMap { captures[$0.key] ?? [] }
    for name in named where !known.contains(name.value) {
      reading.findings.error(
        .unknownName, "the route has no capture \"\(name.value)\"", at: name.range,
        hint: NearestName.hint(for: name.value, in: known)
          ?? "\"require\" compares with what the path captures",
        related: [.init("the route", at: route)])
    }
  }

  /// Checks the settings for a WebSocket route.
  ///
  /// - Parameter range: the place of `consumer`.
  func ofWebSocket(
    _ read: ReadConsumer, _ path: RoutePath, at range: SourceRange, _ reading: Reading
  ) -> RouteAuth? {
    if read.consumer.upstream != nil {
      let sentence = "Sluice connects to the upstream before the client can send a message"
      check(at: range, reading, sentence) { $0 != .message }
    }
    if auth == nil, !isUnknown, read.consumer.needsIdentity, let option = read.needsIdentity {
      reading.findings.error(
        .conflictingKeys, "\(option.value) needs \"auth\": without it every client is anonymous",
        at: option.range, hint: hintToAuthenticate)
    }
    return complete(path, reading)
  }

  /// Checks the settings for an HTTP route.
  ///
  /// - Parameter what: the key of the route's action.
  func ofHTTP(
    _ what: String, isKnown: Bool, _ path: RoutePath, at range: SourceRange, _ reading: Reading
  ) -> RouteAuth? {
    guard auth != nil else { return nil }
    guard isKnown else {
      return reading.refuse(
        .conflictingKeys, "\"\(what)\" answers every client, so \"auth\" has no effect on it", at: range,
        hint: isOwn ? "remove \"auth\"" : "add auth: none",
        related: place.map { [.init("\"auth\" is set here", at: $0)] } ?? [])
    }
    check(at: range, reading, "an HTTP request carries no subprotocol and no message", \.isOfEveryRequest)
    return complete(path, reading)
  }

  /// The settings of one route, once its captures are known, which the questions to views may need.
  private func complete(_ path: RoutePath, _ reading: Reading) -> RouteAuth? {
    guard var auth else { return nil }
    let reader = QuestionReader(reading: reading, handshake: handshake)
    let captures = path.captureNames
    if let place, case .callback(let callback)? = authenticators.first(where: { $0.name == auth.name })?.kind
    {
      reader.checkPlaces(of: callback.question, "the callback of \"\(auth.name)\"", captures, at: place)
      auth.placedCallback = callback.question.places.isEmpty ? nil : callback.question
    }
    if let permission {
      reader.checkPlaces(of: permission.value.question, "\"permission\"", captures, at: permission.range)
    }
    auth.permission = permission?.value
    auth.longCaptures = path.longCaptures
    return auth
  }

  /// Reports an authenticator whose tokens can never arrive on the route.
  private func check(
    at range: SourceRange, _ reading: Reading, _ sentence: String, _ canBeUsed: (TokenSource) -> Bool
  ) {
    guard let auth, let used = authenticators.first(where: { $0.name == auth.name }),
      case .jwt(let jwt) = used.kind, !jwt.sources.contains(where: canBeUsed)
    else { return }
    reading.findings.error(
      .conflictingKeys, "no token for \"\(auth.name)\" can arrive on this route: \(sentence)", at: range,
      hint: "add header, or {cookie: NAME}, to its \"from\"",
      related: place.map { [.init("\"auth\" is set here", at: $0)] } ?? [])
  }
}
