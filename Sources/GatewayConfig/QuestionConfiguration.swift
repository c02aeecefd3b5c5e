/// A question about one client to a view of the operator's project: where it goes, what it shows of the client, and for how long its
/// answer holds.
package struct QuestionConfiguration: Sendable, Hashable {
  /// The server, and the path of the request. Its places are filled with captures.
  package var url: UpstreamConfiguration
  /// The text after the `?`, whose places are filled with captures; nil without one.
  package var query: TextTemplate?
  /// The fields of the client's request that are passed on, in lower case.
  package var headers: [String]
  package var timeout: Duration = .seconds(5)
  /// How long an answer that lets in is used again for the same question; zero for never.
  package var cache: Duration = .zero
  /// How long a refusal is used again for the same question; zero for never.
  package var cacheRefusals: Duration = .zero
  /// How often the question is asked again while a session is open; nil for never.
  package var recheck: Duration?

  /// The captures that the URL names, in the order of their places.
  package var places: [String] { (url.path?.places ?? []) + (query?.places ?? []) }

  /// Whether another question asks the same view about the same of a client: only how it is asked may differ.
  func asksTheSame(as other: QuestionConfiguration) -> Bool {
    url.leads(whereDoes: other.url) && query == other.query && headers == other.headers
  }

  /// The URL as it is written, for the log.
  package var shownURL: String {
    func shown(_ template: TextTemplate) -> String { template.filled { "{\($0)}" } }
    let target = (url.path.map(shown) ?? "/") + (query.map { "?" + shown($0) } ?? "")
    return url.socket.map { "unix:\($0):\(target)" } ?? "\(url.scheme.rawValue)://\(url.authority)\(target)"
  }
}

/// `permission:`, a question whether a client that is known may use a route.
package struct PermissionConfiguration: Sendable, Hashable {
  package var question: QuestionConfiguration
  /// The claims that the view is told; nil for all of them.
  package var claims: [String]?

  /// Whether another one lets in the same clients: only how it is asked may differ.
  func asksTheSame(as other: PermissionConfiguration) -> Bool {
    question.asksTheSame(as: other.question) && claims == other.claims
  }
}
