/// A request of which one `allowed_hosts` allows more than another one.
package struct OriginWitness: Sendable, Hashable {
  /// Nil for a client that sends no `Origin`.
  package var origin: String?
  /// The request's own host.
  package var host: String
}

extension OriginPolicy {
  /// What a policy is used for.
  package enum Use: Sendable, Hashable, CaseIterable {
    /// Whether the handshake of a WebSocket passes.
    case handshake
    /// Whether an event stream is sent.
    case stream
    /// How far a browser lets a page use what an HTTP route answers.
    case page
  }

  /// How much a policy allows; more is looser.
  package enum Allowance: Int, Sendable, Hashable, Comparable {
    case nothing, withoutCookies, all

    package static func < (one: Allowance, other: Allowance) -> Bool { one.rawValue < other.rawValue }
  }

  package func allowance(of witness: OriginWitness, for use: Use) -> Allowance {
    let (origin, host) = (witness.origin, witness.host)
    switch use {
    case .handshake: return allows(origin: origin, host: host) ? .all : .nothing
    case .stream: return access(origin: origin, host: host, isSecure: false) == .refused ? .nothing : .all
    case .page:
      // Browsers let a page of the request's own host read every answer, and send no `Origin` with most requests.
      if OriginPolicy.sameHost.allows(origin: origin, host: host) { return .all }
      switch access(origin: origin, host: host, isSecure: false) {
      case .refused: return .nothing
      case .allowedToAll: return .withoutCookies
      case .allowed, .allowedWithCredentials: return .all
      }
    }
  }

  /// A request of which the new policy allows more than this one; nil if there is none.
  ///
  /// A policy is made of hosts, domains, schemes and ports, each named or any. So a few handshakes stand for all: those that a pattern
  /// names, and for each thing that it leaves open one that nobody names.
  package func widening(to new: OriginPolicy, for use: Use) -> OriginWitness? {
    if self == new { return nil }
    return new.witnesses.first { witness in
      new.allowance(of: witness, for: use) > allowance(of: witness, for: use)
    }
  }

  /// Names that nobody else uses: RFC 2606 keeps them for examples.
  private static let foreignHost = "other.example"
  private static let ownHost = "gateway.example"

  private var witnesses: [OriginWitness] {
    let foreign = [
      OriginWitness(origin: "https://\(Self.foreignHost)", host: Self.ownHost),
      OriginWitness(origin: "https://\(Self.ownHost)", host: Self.ownHost),
      OriginWitness(origin: nil, host: Self.ownHost),
    ]
    guard case .patterns(let patterns) = self else { return foreign }
    return patterns.flatMap(Self.origins).map { OriginWitness(origin: $0, host: Self.ownHost) } + foreign
  }

  /// Origins that the pattern admits: with its host or the domain itself, with a name below it, and with schemes and ports that no
  /// pattern names.
  private static func origins(of pattern: String) -> [String] {
    guard pattern != "*" else { return [] }
    let schemeEnd = pattern.firstRange(of: "://")
    let rest = schemeEnd.map { String(pattern[$0.upperBound...]) } ?? pattern
    let hosts = rest.hasPrefix(".") ? [String(rest.dropFirst()), "any-name" + rest] : [rest]
    return hosts.flatMap { host in
      guard let schemeEnd else {
        return ["https://\(host)", "http://\(host)", "https://\(host):61321", "app-scheme://\(host)"]
      }
      return ["\(pattern[..<schemeEnd.lowerBound])://\(host)"]
    }
  }
}

extension OriginWitness {
  /// That a policy allows more than another one, as a sentence: `pages of "https://other.example" may connect, which [a.example] refused`.
  func sentence(_ new: OriginPolicy, insteadOf old: OriginPolicy, for use: OriginPolicy.Use) -> String {
    let what: String
    switch (use, new.allowance(of: self, for: use)) {
    case (.handshake, _): what = "may connect"
    case (.stream, _), (.page, .nothing), (.page, .withoutCookies): what = "may read the answers"
    case (.page, .all): what = "may read the answers with the cookies of their users"
    }
    return "\(who) \(what), which \(old.text) refused"
  }

  private var who: String {
    guard let origin else { return "clients that send no Origin" }
    return origin.hasSuffix("//" + host) ? "pages of the request's own host" : "pages of \"\(origin)\""
  }
}
