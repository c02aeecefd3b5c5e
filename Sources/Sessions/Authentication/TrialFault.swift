/// Why a server would not answer as the gateway needs it, for `validate --connect`: in words, and what to do.
package struct TrialFault: Error, Sendable, Equatable {
  package var text: String
  package var hint: String?
  /// Whether the server answers all the same, or may be right, so that this is a warning.
  package var isWarning = false

  /// Django does not know the `Host` of the question.
  static let hintOfHost =
    "add it to ALLOWED_HOSTS, or write host: upstream; a name in \"allowed_hosts\" of the route is the Host of this question"

  /// For an answer about a client that is known to nobody.
  static func hint(forStatus status: Int) -> String? {
    switch status {
    case 200...299: "answer with a JSON object (JsonResponse), or with 401 where nobody is logged in"
    case 404: "compare the URL with urls.py"
    case 405: "this view is asked with GET: let it answer that"
    case 502, 503, 504: "the server behind this address does not answer: start it, or try again"
    case 500...599: "look at the log of the server"
    default: nil
    }
  }
}
