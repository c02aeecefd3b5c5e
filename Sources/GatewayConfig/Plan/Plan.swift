import Bytes
import Crypto
import JSON

/// What `sluice plan` prints: a comparison, what it would do to the clients that are connected now, and an identification of both sides.
package struct Plan: Sendable {
  /// How a plan is printed.
  package enum Format: String, Sendable, CaseIterable {
    case text, json, markdown
  }

  package let comparison: ConfigurationComparison
  /// Changes with either side: `reload --plan` insists on it.
  package let id: String
  /// What would become of the clients of a running gateway: by a reload or, where that is refused, by an upgrade. Nil where two files are
  /// compared, or the gateway could not have the file either way.
  package let clients: ClientForecast?
  /// Why the running gateway would refuse the file, as far as that is known beforehand; nil where it would not, or two files are compared.
  package let refusal: String?
  /// `clients: 812 stay, 20 change, 0 are closed`, and by what
  var clientCounts: String? {
    clients.map { refusal == nil ? $0.counts : "by \"sluice upgrade\", \($0.counts)" }
  }

  /// How many of the clients an upgrade would close because they cannot be handed over; nil where none is needed, or two files are compared.
  let bound: Int?

  /// - Parameters:
  ///   - old: what tells the files of the old side from others, as text.
  ///   - new: the same of the other side.
  package init(
    _ comparison: ConfigurationComparison, old: String, new: String, clients: ClientForecast? = nil,
    refusal: String? = nil, bound: Int? = nil
  ) {
    self.comparison = comparison
    self.bound = comparison.need == .upgrade ? bound : nil
    self.clients = clients
    self.refusal = refusal
    id = Self.id(comparison, old, new)
  }

  /// A hash over what tells the files of both sides from others, and over what differs. 12 hexadecimal digits.
  private static func id(_ comparison: ConfigurationComparison, _ old: String, _ new: String) -> String {
    let parts: JSON = [.string(old), .string(new), ComparisonJSON(comparison: comparison).json]
    return SHA256.hash(data: parts.bytes).prefix(6).hexadecimal
  }

  /// What is wrong with a text that should be the identification of a plan, as the end of a sentence; nil where it may be one.
  package static func fault(ofID text: String) -> String? {
    guard text.count != 12 || !text.utf8.allSatisfy({ "0123456789abcdef".utf8.contains($0) }) else {
      return nil
    }
    return
      "is no ID of a plan: \"sluice plan\" prints it behind the names of the files, 12 digits such as 5f0c1a9e77b2"
  }

  package func rendered(_ format: Format) -> String {
    switch format {
    case .text: PlanText(plan: self).text
    case .json: PlanJSON(plan: self).json.text + "\n"
    case .markdown: PlanMarkdown(plan: self).text
    }
  }

  /// 0 nothing is different, 3 something is, 4 sessions are closed, or something is looser, 1 the gateway would refuse the file. Where the
  /// clients of a gateway are known, they decide whether sessions are closed.
  package var exitCode: Int32 {
    guard refusal == nil else { return 1 }
    let closes = clients.map { !$0.closes.isEmpty } ?? comparison.closesSessions
    if closes || !comparison.marks.isEmpty { return 4 }
    return comparison.isEmpty ? 0 : 3
  }
}

/// How many of the clients that are connected now go on, and how.
package struct ClientForecast: Sendable, Hashable {
  package var stays: Int
  /// Go on with other options.
  package var changes: Int
  /// Of all that go on, those whose route has another name afterwards.
  package var moves: Int
  package var closes: [ClientEnd: Int]
  /// Handshakes that wait for a view, an upstream, or an answer about who the client is. They are judged once that is there.
  package var arriving: Int

  package init(stays: Int, changes: Int, moves: Int, closes: [ClientEnd: Int], arriving: Int = 0) {
    self.arriving = arriving
    self.stays = stays
    self.changes = changes
    self.moves = moves
    self.closes = closes
  }

  /// In the order in which they are printed: the most first.
  var sortedCloses: [(end: ClientEnd, count: Int)] {
    closes.map { (end: $0.key, count: $0.value) }.filter { $0.count > 0 }.sorted {
      ($1.count, $0.end.rawValue) < ($0.count, $1.end.rawValue)
    }
  }

  var closed: Int { closes.values.reduce(0, +) }
}

// MARK: - Words

extension Plan {
  /// What an upgrade does beside; nil where it does nothing.
  var boundWords: String? {
    guard let bound, bound > 0 else { return nil }
    return
      "an upgrade also closes \(bound) client\(bound == 1 ? "" : "s") that cannot be handed over (TLS); a restart closes all"
  }
}

extension RouteDifference.Effect {
  /// The raw words of the output.
  var word: String {
    switch self {
    case .added: "added"
    case .removed: "removed"
    case .changed: "changed"
    case .moved: "moved"
    case .same: "same"
    }
  }
}

extension RouteDifference {
  /// The path of the route as written, or of both where another one answers.
  var title: String {
    switch effect {
    case .moved: "\(Self.shown(old)) -> \(Self.shown(new))"
    case .removed: Self.shown(old)
    case .added, .changed, .same: Self.shown(new)
    }
  }

  private static func shown(_ route: NamedRoute?) -> String {
    guard let route else { return "" }
    return route.name == route.path ? "/\(route.path)" : "\(route.name) (/\(route.path))"
  }

  /// What happens to clients that are connected, one line for each thing that can happen to them.
  var endings: [String] {
    outcomes.compactMap { outcome in
      guard case .closes(let end) = outcome else { return nil }
      return "closes \(isMixed ? "some clients" : "its clients"), \(end.code): \(end.rawValue)"
    }
  }
}

extension SecurityMark {
  /// The sentence, with where it is so.
  var sentence: String {
    let place = route.map { "/\($0.path): " } ?? ""
    let at = example.map { " (at /\($0))" } ?? ""
    return "\(place)\(text)\(at)"
  }
}

extension ConfigurationComparison {
  /// `2 routes added, 1 removed, 3 changed, 8 the same`
  var counts: String {
    let words: [(RouteDifference.Effect, String)] = [
      (.added, "added"), (.removed, "removed"), (.changed, "changed"), (.moved, "moved"), (.same, "the same"),
    ]
    let counts = words.compactMap { effect, word in
      let count = routes.count { $0.effect == effect }
      return count == 0 ? nil : "\(count) \(word)"
    }
    return counts.isEmpty ? "no routes" : "routes: \(counts.joined(separator: ", "))"
  }

  static let notProved =
    "not proved: a table of routes is too large to be compared path by path, so routes with the same name were compared"
}

extension ClientForecast {
  /// `clients: 812 stay, 20 change, 5 of these by a route with another name, 3 are closed`
  var counts: String {
    var words = ["\(stays) stay", "\(changes) change"]
    if moves > 0 { words.append("\(moves) of these by a route with another name") }
    words.append("\(closed) \(closed == 1 ? "is" : "are") closed")
    if arriving > 0 {
      words.append("\(arriving) more \(arriving == 1 ? "is" : "are") coming in, and judged then")
    }
    return "clients: \(words.joined(separator: ", "))"
  }
}
