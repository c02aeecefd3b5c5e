import Routing

extension Key {
  private static let question = QuestionConfiguration(
    url: upstream, headers: CallbackConfiguration.standardHeaders)
  private static let callback = CallbackConfiguration(question: question)
  private static let questions = [KeyPlace.callback, .permission]
  private static let placesOfCallback = KeyValue.either([
    .choice([
      AuthenticatorReader.PlainSource.header.rawValue, AuthenticatorReader.PlainSource.subprotocol.rawValue,
    ]),
    .mapping(.tokenSource),
  ])
  private static let tokenSources = KeyValue.either([
    .choice(of: AuthenticatorReader.PlainSource.self), .mapping(.tokenSource),
  ])

  private static let user = KeyValue.either([.word, .mapping(.userClaim)])
  private static let userMapping =
    "A mapping also says what users can be: `{claim: NAME, as: int}`. See [keys of user](#keys-of-user)."

  static let authentication = [
    Key(
      "jwt", [.authenticator], .mapping(.jwt),
      "Tokens that are verified here. See [keys of jwt](#keys-of-jwt)."),
    Key(
      "callback", [.authenticator], .mapping(.callback),
      "A server that is asked who the client is. See [keys of callback](#keys-of-callback)."),
    Key("secret", [.jwt], .secret, "The secret for HS256, HS384 and HS512."),
    Key("public_key", [.jwt], .secret, "A PEM file, `{file: PATH}`, or the PEM text itself."),
    Key(
      "jwks", [.jwt], .word,
      "A file, or an `http`, `https` or `unix:` URL, with a set of public keys; `tls` as for a proxy."),
    Key(
      "refresh", [.jwt], .time(from: .seconds(1), to: .seconds(86400)), standard: "`10m`",
      """
      How often the set is fetched again. An unknown key id, and a signature that no key of the set has made, are reasons to fetch it, \
      too, at most every 5 seconds. If fetching fails, the last good set stays in force.
      """),
    Key(
      "algorithms", [.jwt], .list(.word, atLeast: 1),
      standard: "HS256, RS256, ES256/384/512 or EdDSA, by the key; in a set, what each key says",
      """
      HS\\*, RS\\*, PS\\*, ES\\* or EdDSA (also called Ed25519). Only the algorithms that fit the kind of the key are accepted, so a public \
      key is never used as a secret. `none` is never accepted.
      """),
    Key(
      "audience", [.jwt], .oneOrMore(.word),
      "One value, or a list. Without it, a token that has an audience is refused."),
    Key("issuer", [.jwt], .oneOrMore(.word), standard: "any", "One value, or a list."),
    Key(
      "leeway", [.jwt], .time(from: .zero, to: .seconds(3600)), standard: "`0s`",
      "How far the clocks may differ."),
    Key(
      "user", [.jwt], user, standard: "`user_id` (Simple JWT's), or else `sub`",
      "The claim that names the user. \(userMapping)"),
    Key(
      "from", [.jwt], .list(tokenSources, atLeast: 1), standard: "`[header, subprotocol]`",
      """
      Where the token is: `header` (`Authorization: Bearer`), `{cookie: NAME}`, `{query: NAME}`, `subprotocol` or `message`. A client \
      that shows different tokens in two of these places gets 401.
      """),
    Key(
      "schemes", [.jwt], .list(.word, atLeast: 1), standard: "`[Bearer]`",
      "The schemes of a token in `Authorization`: `[Bearer, JWT]` takes both `Bearer TOKEN` and `JWT TOKEN`."),
    Key("cookie", [.tokenSource], .word, "The cookie that holds the token."),
    Key("query", [.tokenSource], .word, "The parameter of the URL that holds the token."),
    Key(
      "expiry", [.jwt], .choice(of: TokenExpiry.self), standard: "`close`",
      """
      What happens when a token ends while its session is open. `close` ends the session with 4401, `renew` lets the client send another \
      token before, and `keep` does nothing: the token is checked at the beginning only, as in Channels.
      """),
    Key(
      "max_age", [.jwt], .time(from: .seconds(1), to: .seconds(31_536_000)), standard: "any time",
      "With `expiry: keep`: after this long, the session is closed with 4401, and the client needs a valid token again."
    ),
    Key(
      "url", questions, .word, required: questions, standard: "required",
      """
      The URL that is asked, with GET: `http`, `https`, or `unix:/run/app.sock:/api/me/`. `{room}` in its path or its query is \
      what the route captures, percent-encoded as one segment; `<path:rest>` may be several.
      """),
    Key(
      "headers", [.callback], .list(.word), standard: "`[Cookie, Authorization]`; with `from`, `[Cookie]`",
      """
      The fields of the client's request that are passed on, together with `X-Forwarded-For`, `-Proto`, `-Host`, `-Method` and `-Uri`.
      """),
    Key(
      "from", [.callback], .list(placesOfCallback, atLeast: 1), standard: "no token is looked for",
      """
      Where a token is: `header`, `{cookie: NAME}`, `{query: NAME}`, `subprotocol`. It is passed on as `Authorization: SCHEME TOKEN`, \
      so that a browser can use tokens of TokenAuthentication, Knox and Simple JWT.
      """),
    Key(
      "scheme", [.callback], .word, standard: shown(callback.scheme),
      "With `from`: the scheme of `Authorization`, both of the client and of the question: `Token` for DRF and Knox."
    ),
    Key(
      "timeout", questions, .time(from: .milliseconds(10), to: .seconds(300)),
      standard: shown(question.timeout),
      "The time for the whole answer. A handshake never waits longer than `limits.handshake`."),
    Key(
      "cache", questions, .time(from: .zero, to: .seconds(3600)), standard: shown(question.cache),
      """
      How long an answer is used again for the same question: the same URL, and the same fields with `Host` and `X-Forwarded-*` among \
      them.
      """),
    Key(
      "cache_refusals", questions, .time(from: .zero, to: .seconds(3600)),
      standard: shown(question.cacheRefusals), "The same for answers 401, 403 and 404."),
    Key(
      "recheck", questions, .time(from: .seconds(1), to: .seconds(86400)), standard: "never",
      """
      How often the question is asked again while a session is open. A refusal closes the session with 4401 or \
      4403. Of two views, each is asked at its own time.
      """),
    Key(
      "headers", [.permission], .list(.word), standard: "`[]`",
      "The fields of the client's request that are passed on."),
    Key(
      "claims", [.permission], .list(.word), standard: "all of them",
      "The claims that the view is told in `X-Sluice-Claims`."),
    Key(
      "user", [.callback], user, standard: "`user`, or else `id`",
      "The member of the answer that names the user. \(userMapping)"),
    Key(
      "claim", [.userClaim], .word, standard: "as without the mapping",
      "The claim of the token, or the member of the answer, that names the user."),
    Key(
      "as", [.userClaim], .choice(of: UserType.self), standard: "any text or whole number",
      """
      What users can be called: `int` (a whole number without zeros before it, as Django's primary keys) or `uuid` (in lower case). A \
      client with another user is refused, and the proof of isolation counts on it, so `{user}` alone can be a group.
      """),
    Key("env", [.secret], .word, "The environment variable that holds the secret."),
    Key(
      "file", [.secret], .word, "The file that holds the secret. A line end behind a text is no part of it."),
    Key(
      "encoding", [.secret], .choice(of: SecretEncoding.self), standard: "the bytes are the secret itself",
      "How the bytes of the secret are written as text."),
  ]
}
