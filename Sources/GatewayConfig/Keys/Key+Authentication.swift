import Routing

extension Key {
  private static let callback = CallbackConfiguration(url: upstream)
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
      Where the token is: `header` (`Authorization: Bearer`), `{cookie: NAME}`, `{query: NAME}`, `subprotocol` or `message`. The first \
      place that has a token decides.
      """),
    Key("cookie", [.tokenSource], .word, "The cookie that holds the token."),
    Key("query", [.tokenSource], .word, "The parameter of the URL that holds the token."),
    Key(
      "expiry", [.jwt], .choice(of: TokenExpiry.self), standard: "`close`",
      "What happens when a token ends."),
    Key(
      "url", [.callback], .word, required: [.callback], standard: "required",
      """
      The URL that is asked, with GET: `http`, `https`, or `unix:/run/app.sock:/api/me/`; `tls`, `host` and `idle_timeout` \
      as for a proxy.
      """),
    Key(
      "headers", [.callback], .list(.word, atLeast: 1), standard: "`[Cookie, Authorization]`",
      """
      The fields of the client's request that are passed on, together with `X-Forwarded-*`, as by a proxy.
      """),
    Key(
      "timeout", [.callback], .time(from: .milliseconds(10), to: .seconds(300)),
      standard: shown(callback.timeout),
      "The time for the whole answer. A handshake never waits longer than `limits.handshake`."),
    Key(
      "cache", [.callback], .time(from: .zero, to: .seconds(3600)), standard: shown(callback.cache),
      """
      How long an answer is used again for the same fields; `Host` and `X-Forwarded-*` are among them.
      """),
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
