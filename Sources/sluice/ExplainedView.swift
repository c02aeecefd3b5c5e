import Bytes
import GatewayConfig
import Routing
import Sessions

/// What `explain` says of the view of a route.
struct ExplainedView {
  let view: ViewConfiguration
  let captures: Captures

  var text: String {
    var lines = [
      ("asks", url), ("about", about), ("trust", trust),
      ("questions", "at most \(view.inFlight) at a time, each for \(view.question.timeout.written)"),
    ]
    if view.on.contains(.receive) {
      lines += [("messages", messages), ("on_failure", failure)]
    } else {
      lines.append(("messages", "of clients are dropped, but for those that receive: answers"))
    }
    if !view.question.headers.isEmpty {
      lines.append(("headers", "\(view.question.headers.joined(separator: ", ")) with connect"))
    }
    if view.wire != .json { lines.append(("protocol", view.wire.rawValue)) }
    return lines.map { name, text in
      name + String(repeating: " ", count: max(1, 11 - name.count)) + text.printable + "\n"
    }.joined()
  }

  /// With the captures of this path.
  private var url: String {
    guard let target = view.question.target(for: captures, long: view.longCaptures) else {
      return
        "nobody: \(view.question.shownURL) would have a segment that a server may drop; Sluice would answer 400"
    }
    let url = view.question.url
    return "POST " + (url.socket.map { "unix:\($0):" } ?? "\(url.scheme.rawValue)://\(url.authority)")
      + target
  }

  private var about: String {
    let events = ViewConfiguration.Event.allCases.filter(view.on.contains).map(\.rawValue)
    return (events + [view.alive.map { "alive every \($0.written)" }].compactMap(\.self)).joined(
      separator: ", ")
  }

  private var trust: String {
    guard !view.isUnsigned else { return "no signature: only Sluice may reach the Unix socket" }
    return view.secrets.count < 2 ? "signed" : "signed with each of \(view.secrets.count) secrets"
  }

  private var messages: String {
    switch view.order {
    case .session where view.batch == 1: "one after the other in each session"
    case .session: "up to \(view.batch) together, one question after the other in each session"
    case .none: "each at once, so that they may overtake each other"
    }
  }

  private var failure: String {
    let what =
      switch view.onFailure {
      case .wait: "wait: asked again for 30 s, then the session is closed with 1013"
      case .reply: "reply: the client gets an error, and the session goes on"
      case .close: "close: the session is closed with 1011"
      }
    return what + (view.repeatsReceive ? "; a message may be asked about twice (retry)" : "")
  }
}
