/// A handshake that one `allowed_hosts` lets in and another one does not.
package struct OriginWitness: Sendable, Hashable {
  /// Nil for a client that sends no `Origin`.
  package var origin: String?
  /// The request's own host.
  package var host: String
}

extension OriginPolicy {
  /// A handshake that the new policy admits and this one refuses; nil if there is none.
  ///
  /// A policy is made of hosts, domains, schemes and ports, each named or any. So a few handshakes stand for all: those that a pattern
  /// names, and for each thing that it leaves open one that nobody names.
  package func widening(to new: OriginPolicy) -> OriginWitness? {
    if self == new { return nil }
    return new.witnesses.first { witness in
      new.allows(origin: witness.origin, host: witness.host)
        && !allows(origin: witness.origin, host: witness.host)
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
  /// For a sentence: `pages of "https://other.example" may connect`.
  var sentence: String {
    guard let origin else { return "clients that send no Origin may connect" }
    return origin.hasSuffix("//" + host)
      ? "pages of the request's own host may connect" : "pages of \"\(origin)\" may connect"
  }
}
