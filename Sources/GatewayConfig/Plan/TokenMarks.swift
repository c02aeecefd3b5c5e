import Routing

/// What an entry of `auth` accepts that it refused.
struct TokenMarks {
  let name: String
  let old: AuthenticatorConfiguration.Kind
  let new: AuthenticatorConfiguration.Kind

  private let place = MarkPlace()

  init(name: String, old: AuthenticatorConfiguration.Kind, new: AuthenticatorConfiguration.Kind) {
    self.name = name
    self.old = old
    self.new = new
  }

  var all: [SecurityMark] {
    switch (old, new) {
    case (.jwt(let old), .jwt(let new)):
      return keyMarks(old, new) + claimMarks(old, new) + lifeMarks(old, new)
    case (.callback(let old), .callback(let new)): return callbackMarks(old, new)
    case (.jwt, .callback):
      return [mark(.authOther, "callback", "a server says who clients are, and tokens did")]
    case (.callback, .jwt): return [mark(.authOther, "jwt", "tokens say who clients are, and a server did")]
    }
  }

  private func mark(_ kind: SecurityMark.Kind, _ key: String, _ text: String) -> SecurityMark {
    place.mark(kind, "auth.\(name).\(key)", "auth.\(name): \(text)")
  }

  private func keyMarks(_ old: JWTConfiguration, _ new: JWTConfiguration) -> [SecurityMark] {
    var marks: [SecurityMark] = []
    let (known, now) = (old.acceptedAlgorithms, new.acceptedAlgorithms)
    if let known {
      let added = (now ?? []).filter { !known.contains($0) }.map(\.rawValue)
      if now == nil {
        marks.append(
          mark(.tokensWidened, "jwt.algorithms", "any algorithm that a key of the set is for is accepted"))
      } else if !added.isEmpty {
        marks.append(
          mark(
            .tokensWidened, "jwt.algorithms",
            "tokens signed with \(added.joined(separator: ", ")) are accepted"))
      }
    }
    if old.keys.verifies != new.keys.verifies {
      marks.append(
        mark(.tokensWidened, "jwt", "tokens are verified with another key, so others may issue them"))
    }
    return marks
  }

  private func claimMarks(_ old: JWTConfiguration, _ new: JWTConfiguration) -> [SecurityMark] {
    var marks: [SecurityMark] = []
    let audiences = new.audiences.filter { !old.audiences.contains($0) }
    if new.audiences.isEmpty, !old.audiences.isEmpty {
      marks.append(mark(.tokensWidened, "jwt.audience", "tokens without an audience are accepted"))
    } else if !audiences.isEmpty {
      marks.append(
        mark(.tokensWidened, "jwt.audience", "tokens for \(audiences.joined(separator: ", ")) are accepted"))
    }
    let issuers = new.issuers.filter { !old.issuers.contains($0) }
    if !old.issuers.isEmpty, new.issuers.isEmpty {
      marks.append(mark(.tokensWidened, "jwt.issuer", "tokens of any issuer are accepted"))
    } else if !old.issuers.isEmpty, !issuers.isEmpty {
      marks.append(
        mark(.tokensWidened, "jwt.issuer", "tokens of \(issuers.joined(separator: ", ")) are accepted"))
    }
    return marks + clientMarks("jwt", Clients(old), Clients(new))
  }

  /// Who is known, whatever says it.
  private struct Clients {
    var names: [String]
    /// What has the names.
    var member: String
    var type: UserType?
    var sources: [TokenSource]

    init(_ jwt: JWTConfiguration) {
      (names, member, type, sources) = (jwt.userClaims, "claim", jwt.userType, jwt.sources)
    }

    init(_ callback: CallbackConfiguration) {
      (names, member, type) = (callback.userMembers, "member of the answer", callback.userType)
      sources = callback.sources
      // Where it is passed on as it is, the view is told of the token in it.
      if callback.question.headers.contains("authorization") { sources.append(.header) }
    }
  }

  private func clientMarks(_ key: String, _ old: Clients, _ new: Clients) -> [SecurityMark] {
    var marks: [SecurityMark] = []
    if let type = old.type, new.type != type {
      marks.append(mark(.tokensWidened, "\(key).user.as", "users need not be \(type.rawValue) any more"))
    }
    if old.names != new.names {
      let names = new.names.joined(separator: " or ")
      marks.append(mark(.tokensWidened, "\(key).user", "another \(new.member) names the user: \(names)"))
    }
    let sources = new.sources.filter { !old.sources.contains($0) }
    if !sources.isEmpty {
      let words = sources.map(\.words).joined(separator: ", ")
      marks.append(mark(.tokensWidened, "\(key).from", "tokens are also taken from \(words)"))
    }
    return marks
  }

  private func lifeMarks(_ old: JWTConfiguration, _ new: JWTConfiguration) -> [SecurityMark] {
    var marks: [SecurityMark] = []
    if new.leeway > old.leeway {
      marks.append(
        mark(.tokensWidened, "jwt.leeway", "tokens are accepted for \(new.leeway.written) after their end"))
    }
    if new.expiry == .keep, old.expiry != .keep {
      marks.append(mark(.tokensWidened, "jwt.expiry", "a session goes on after the end of its token"))
    } else if new.expiry == .keep, let age = old.maxAge, new.maxAge.map({ $0 > age }) ?? true {
      let now = new.maxAge.map { "up to \($0.written)" } ?? "for any time"
      marks.append(
        mark(
          .tokensWidened, "jwt.max_age",
          "a session goes on \(now) with a token that has ended (was \(age.written))"))
    }
    return marks
  }

  private func callbackMarks(_ old: CallbackConfiguration, _ new: CallbackConfiguration) -> [SecurityMark] {
    var marks: [SecurityMark] = []
    if !new.question.url.leads(whereDoes: old.question.url) || new.question.query != old.question.query {
      marks.append(
        mark(
          .authOther, "callback.url",
          "\(new.question.shownURL) says who clients are, and not \(old.question.shownURL) any more"))
    }
    if let recheck = old.question.recheck, new.question.recheck == nil {
      marks.append(
        mark(
          .tokensWidened, "callback.recheck",
          "a client is not asked about again, which it was every \(recheck.written)"))
    }
    return marks + clientMarks("callback", Clients(old), Clients(new)) + headerMarks(old, new)
      + place.marks(new.question.url, old.question.url, "the server of \"auth.\(name)\"").map { mark in
        var mark = mark
        mark.key = "auth.\(name).callback.\(mark.key)"
        return mark
      }
  }

  /// Other fields of the client's request may name other clients. That of a token is one of the places for it, which is said of these where
  /// tokens were not looked for there.
  private func headerMarks(_ old: CallbackConfiguration, _ new: CallbackConfiguration) -> [SecurityMark] {
    let isPlaceKnown = Clients(old).sources.contains(.header)
    let fields = new.question.headers.filter { field in
      !old.question.headers.contains(field) && (field != "authorization" || isPlaceKnown)
    }
    guard !fields.isEmpty else { return [] }
    return [
      mark(
        .tokensWidened, "callback.headers",
        "\(new.question.shownURL) is also told of \(fields.joined(separator: ", "))")
    ]
  }
}

extension JWTConfiguration {
  /// The algorithms that a token may be signed with; nil where the keys of a set say it.
  fileprivate var acceptedAlgorithms: [SignatureAlgorithm]? {
    if let algorithms { return algorithms }
    if case .key(let key) = keys { return [key.kind.standardAlgorithm] }
    return nil
  }
}

extension JWTConfiguration.Keys {
  /// The keys without how often they are read.
  var verifies: JWTConfiguration.Keys {
    if case .set(let place, _) = self { .set(place, refresh: .zero) } else { self }
  }
}

extension TokenSource {
  fileprivate var words: String {
    switch self {
    case .header: "the header Authorization"
    case .cookie(let name): "the cookie \"\(name)\""
    case .query(let name): "the parameter \"\(name)\" of the URL"
    case .subprotocol: "a subprotocol"
    case .message: "the first message"
    }
  }
}
