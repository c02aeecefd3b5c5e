import Routing

/// What is looser on the paths of one part: the new route admits clients, or lets them do things, that the old one refused.
struct RouteMarks {
  let old: ComparedTable.Route
  let new: ComparedTable.Route
  let place: MarkPlace
  /// Whether the captures of both routes have the same values on these paths.
  let capturesAgree: Bool
  let budget: WorkBudget

  var all: [SecurityMark] {
    AuthMarks(old: old, new: new, place: place, capturesAgree: capturesAgree).all + viewMarks + originMarks
      + groupMarks + writerMarks + limitMarks + encryptionMarks
  }

  /// A view that is asked about *connect* lets clients in, as a `permission` does.
  private var viewMarks: [SecurityMark] {
    guard let known = old.view, known.on.contains(.connect) else { return [] }
    guard let view = new.view, view.on.contains(.connect) else {
      return [
        place.mark(
          .permissionDropped, new.view == nil ? "consumer" : "on",
          "\(known.question.shownURL) is not asked any more before a client is let in")
      ]
    }
    guard !view.question.asksTheSame(as: known.question) else { return [] }
    return [
      place.mark(
        .permissionDropped, view.question.shownURL == known.question.shownURL ? "headers" : "url",
        view.question.words(insteadOf: known.question, "is asked before a client is let in"))
    ]
  }

  private var originMarks: [SecurityMark] {
    let use: OriginPolicy.Use = place.kind == .http ? .page : .handshake
    guard let origins = new.origins, let known = old.origins,
      let witness = known.widening(to: origins, for: use)
    else { return [] }
    return [
      place.mark(
        .originWidened, "allowed_hosts", witness.sentence(origins, insteadOf: known, for: use))
    ]
  }

  private var groupMarks: [SecurityMark] {
    guard let groups = new.client?.groups, let known = old.client?.groups else { return [] }
    return widening("subscribe", known.subscribe, groups.subscribe, "clients may subscribe to")
      + widening(
        "groups_from_view", known.fromView?.patterns ?? [], groups.fromView?.patterns ?? [],
        "the answer of a view may name")
  }

  private func widening(
    _ key: String, _ old: [GroupPattern], _ new: [GroupPattern], _ what: String
  ) -> [SecurityMark] {
    guard !new.isEmpty else { return [] }
    switch NameWidening(from: old, to: new, budget: budget.share()) {
    case .none: return []
    case .shown(let name): return [place.mark(.groupsWidened, key, "\(what) \"\(name)\", which was refused")]
    case .open:
      return [place.mark(.groupsWidened, key, "\(what) other groups; whether more of them was not decided")]
    }
  }

  private var writerMarks: [SecurityMark] {
    guard case .webSocket(let route) = new.kind, case .webSocket(let known) = old.kind,
      let groups = route.consumer.groups, let before = known.consumer.groups,
      groups.writers.rank > before.writers.rank
    else { return [] }
    return [
      place.mark(
        .writersWidened, "publish",
        "\(groups.writers.words) may send to the group, where \(before.writers.words) could")
    ]
  }

  private var limitMarks: [SecurityMark] {
    guard case .webSocket(let route) = new.kind, case .webSocket(let known) = old.kind else { return [] }
    var marks: [SecurityMark] = []
    if let rate = known.limits.rate.messages, route.limits.rate.messages == nil {
      marks.append(
        place.mark(
          .limitRemoved, "limits.rate", "a client may send any number of messages (was \(rate.text))"))
    }
    if known.limits.ping != nil, route.limits.ping == nil {
      marks.append(place.mark(.limitRemoved, "limits.ping", "a client that is gone is not noticed"))
    }
    return marks
  }

  private var encryptionMarks: [SecurityMark] {
    var marks: [SecurityMark] = []
    if let upstream = new.upstream, let known = old.upstream {
      marks += place.marks(upstream, known, "the server behind the route")
    }
    if let view = new.view, let known = old.view {
      if view.isUnsigned, !known.isUnsigned {
        marks.append(place.mark(.viewUnsigned, "unsigned", "questions to the view are not signed any more"))
      }
      marks += place.marks(view.question.url, known.question.url, "the view")
    }
    if let permission = new.auth?.permission, let known = old.auth?.permission {
      marks += place.marks(permission.question.url, known.question.url, "the view of \"permission\"")
    }
    return marks
  }
}

extension MarkPlace {
  /// - Parameter what: the server, for sentences.
  func marks(_ new: UpstreamConfiguration, _ old: UpstreamConfiguration, _ what: String) -> [SecurityMark] {
    var marks: [SecurityMark] = []
    if old.scheme.isSecure, !new.scheme.isSecure, new.socket == nil {
      marks.append(mark(.encryptionOff, "url", "\(what) is asked without TLS"))
    }
    if old.trust.verifiesCertificate, !new.trust.verifiesCertificate, new.scheme.isSecure {
      marks.append(
        mark(.encryptionWeaker, "tls.verify", "the certificate of \(what) is not checked any more"))
    }
    return marks
  }
}

extension QuestionConfiguration {
  /// That another view decides, or the same one by something else.
  ///
  /// - Parameter what: what is done with a view.
  func words(insteadOf old: QuestionConfiguration, _ what: String) -> String {
    shownURL == old.shownURL
      ? "\(shownURL) \(what), and is told something else of it than before"
      : "\(shownURL) \(what), and not \(old.shownURL) any more"
  }
}

extension ComparedTable.Route {
  /// Nil for a route that answers every page.
  var origins: OriginPolicy? {
    switch kind {
    case .webSocket(let route): return route.origins
    case .http(let route):
      switch route.action {
      case .events(let stream): return stream.origins
      case .publish(let publish): return publish.origins
      case .staticFiles, .respond, .redirect, .health, .proxy: return nil
      }
    }
  }

  /// Nil for a route without a server behind it.
  fileprivate var upstream: UpstreamConfiguration? {
    switch kind {
    case .webSocket(let route): route.consumer.upstream
    case .http(let route): if case .proxy(let upstream) = route.action { upstream } else { nil }
    }
  }

  fileprivate var view: ViewConfiguration? {
    if case .webSocket(let route) = kind { route.consumer.view } else { nil }
  }

  /// Nil for a route that is no publish API.
  var publish: PublishConfiguration? {
    if case .http(let route) = kind, case .publish(let publish) = route.action { publish } else { nil }
  }
}

extension ConsumerConfiguration.PublishPolicy {
  fileprivate var rank: Int {
    switch self {
    case .nobody: 0
    case .authenticated: 1
    case .everyone: 2
    }
  }

  fileprivate var words: String {
    switch self {
    case .nobody: "no client"
    case .authenticated: "only authenticated clients"
    case .everyone: "every client of the route"
    }
  }
}
