import Bytes
import Consumers
import GatewayConfig
import JSON
import Routing
import WebSocketCore

/// Asks a view whether a client that is known may use a route. What it answers is added to what is known of the client.
struct PermissionCheck: Sendable {
  let configuration: PermissionConfiguration
  let questions: ViewQuestions

  /// The longest `X-Sluice-Claims`: gunicorn takes a field of 8190 bytes.
  private static let longestClaims = 7 * 1024

  init(_ configuration: PermissionConfiguration, server: UpstreamFetcher, failures: UpstreamFailures) {
    self.configuration = configuration
    questions = ViewQuestions(configuration.question, server: server, failures: failures) { members in
      members.flatMap { AnswerFault(in: $0) }
    }
  }

  /// - Parameters:
  ///   - identity: nil for an anonymous client.
  ///   - hidden: the parameters of the query that may hold a token.
  ///   - long: the captures that may be several segments of the URL.
  ///   - groups: which groups an answer may name; nil where they do not matter.
  func ask(
    _ identity: Identity?, _ credentials: Credentials, hidden: [String], long: Set<String>,
    naming groups: GroupsFromView? = nil, isRecheck: Bool
  ) async -> Authentication {
    guard let target = configuration.question.target(for: credentials.request.captures, long: long) else {
      return .refused(AuthRefusal(answer: .badPlace))
    }
    var fields = credentials.fields(for: configuration.question, withoutParameters: hidden)
    if let identity {
      fields.append(HeaderField(name: "X-Sluice-User", value: identity.user.percentEncodedPath))
      let claims = shownClaims(of: identity)
      guard claims.utf8.count <= Self.longestClaims else {
        return questions.unusable(
          AnswerFault(
            reason:
              "the claims have \(claims.utf8.count) bytes, and servers take no field of more than 8 KiB",
            hint: "name those that the view needs: claims: [role]"))
      }
      fields.append(HeaderField(name: "X-Sluice-Claims", value: claims))
    }
    let verdict = await questions.ask(Question(target: target, fields: fields), isRecheck: isRecheck)
    return outcome(verdict, of: identity, naming: groups)
  }

  /// Asks about an anonymous client, for `validate --connect`.
  ///
  /// - Parameter credentials: with captures that the URL can have.
  func tried(_ credentials: Credentials, long: Set<String>) async -> TriedQuestion {
    let target = configuration.question.target(for: credentials.request.captures, long: long)
    let fields = credentials.fields(for: configuration.question, withoutParameters: [])
    return await questions.tried(Question(target: target ?? "/", fields: fields))
  }

  /// As JSON in ASCII, which every server reads alike.
  private func shownClaims(of identity: Identity) -> String {
    guard let names = configuration.claims else { return identity.claims.asciiText }
    let members = names.compactMap { name in
      identity.claims.claim(name).map { JSON.Member(key: name, value: $0) }
    }
    return JSON.object(members).asciiText
  }

  private func outcome(
    _ verdict: Verdict, of identity: Identity?, naming groups: GroupsFromView?
  ) -> Authentication {
    switch verdict {
    case .unavailable: return .unavailable
    case .refused(let refusal): return .refused(refusal)
    case .accepted(let members):
      guard !verdict.hasExpired else {
        var refusal = AuthRefusal.permissionOver
        refusal.asked = questions.server.user
        return .refused(refusal)
      }
      guard let identity else { return .anonymous }
      guard let members, members != .object([]) else { return .identity(identity) }
      if let user = members["user"], user != .null, !identity.isNamed(in: members) {
        return questions.unusable(
          AnswerFault(
            reason: "the answer names another user than the one who was asked about",
            hint: "leave out \"user\": permission says whether, not who"))
      }
      if let fault = questions.groupFault(in: members, for: groups) { return questions.unusable(fault) }
      return .identity(identity.adding(members))
    }
  }
}

extension Identity {
  fileprivate func isNamed(in answer: JSON) -> Bool {
    answer.userName(among: ["user"]).map { ExactText(text: $0) == ExactText(text: user) } ?? false
  }

  /// With what a `permission` answered: claims that the identity does not have, further groups, and the earlier end.
  func adding(_ answer: JSON) -> Identity {
    guard case .object(let members) = answer else { return self }
    var known: [JSON.Member] = []
    if case .object(let own) = claims { known = own }
    let new = members.filter { $0.key != "user" && claims.claim($0.key) == nil }
    let ends = [expires, answer.expiry].compactMap(\.self)
    return Identity(
      user: user, claims: .object(known + new),
      groups: groups + (answer.groupNames ?? []).filter { !groups.contains($0) }, expires: ends.min(),
      beforePermission: self, permission: answer)
  }
}

extension JSON {
  /// Compact text in which every character that is not ASCII is `\u` and hexadecimal digits.
  var asciiText: String {
    var ascii = ""
    for scalar in text.unicodeScalars {
      if (0x20..<0x7F).contains(scalar.value) {
        ascii.unicodeScalars.append(scalar)
      } else {
        for unit in String(scalar).utf16 {
          ascii += "\\u" + String(0x1_0000 + Int(unit), radix: 16).dropFirst()
        }
      }
    }
    return ascii
  }
}
